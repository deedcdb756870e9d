//! Opening a place: which kind of store a URL means, and what its client is given.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use teasel_api::location::Location;
use url::Url;

use super::{CREATE_DELAYS, LONGEST_PAUSE, Store};
use crate::{Credentials, StorageError};

impl Store {
    /// Opens `location`: `file://`, `s3://`, `gs://`, `az://`, or an absolute path.
    ///
    /// # Errors
    /// [`StorageError::BadConfiguration`] where the URL or a credential's name isn't known. Nothing is sent yet: wrong
    /// credentials show at the first request.
    pub fn open(location: &Location, credentials: &Credentials) -> Result<Self, StorageError> {
        Self::open_with(location, credentials, Patience::Outage)
    }

    /// Opens `location` as [`Store::open`] does, to be tried for as long as `patience` says.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        location: &Location,
        credentials: &Credentials,
        patience: Patience,
    ) -> Result<Self, StorageError> {
        let uri = &location.uri;
        let bad = |message: String| StorageError::BadConfiguration(format!("{uri}: {message}"));
        let url = if uri.starts_with('/') {
            Url::from_file_path(uri).map_err(|()| bad("not an absolute path".into()))?
        } else {
            Url::parse(uri).map_err(|error| bad(error.to_string()))?
        };
        if let (Some(secret), true) = (&location.secret_ref, credentials.is_empty()) {
            return Err(bad(format!("its secret {} holds no keys, or wasn't handed over", secret.name)));
        }
        let mut endpoint = None;
        let inner: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => Arc::new(LocalFileSystem::new()),
            "memory" => Arc::new(InMemory::new()),
            "s3" | "s3a" => {
                let empty =
                    if credentials.is_empty() { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
                let builder = configure(empty, credentials, uri, |builder, key: AmazonS3ConfigKey, value| {
                    builder.with_config(key, value)
                })?;
                let (key, secret) = (AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::SecretAccessKey);
                let given = |key| builder.get_config_value(key).is_some();
                match (given(&key), given(&secret)) {
                    (true, false) => return Err(bad("its secret holds no AWS_SECRET_ACCESS_KEY".into())),
                    (false, true) => return Err(bad("its secret holds no AWS_ACCESS_KEY_ID".into())),
                    _ => {}
                }
                endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
                let builder = builder.with_url(url.as_str()).with_retry(patience.retries());
                Arc::new(builder.build().map_err(|error| bad(error.to_string()))?)
            }
            "gs" => {
                let empty = if credentials.is_empty() {
                    GoogleCloudStorageBuilder::from_env()
                } else {
                    GoogleCloudStorageBuilder::new()
                };
                let builder = configure(empty, credentials, uri, |builder, key: GoogleConfigKey, value| {
                    builder.with_config(key, value)
                })?;
                let builder = builder.with_url(url.as_str()).with_retry(patience.retries());
                Arc::new(builder.build().map_err(|error| bad(error.to_string()))?)
            }
            "az" | "abfs" | "abfss" | "azure" => {
                let empty = if credentials.is_empty() {
                    MicrosoftAzureBuilder::from_env()
                } else {
                    MicrosoftAzureBuilder::new()
                };
                let builder = configure(empty, credentials, uri, |builder, key: AzureConfigKey, value| {
                    builder.with_config(key, value)
                })?;
                endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
                let builder = builder.with_url(url.as_str()).with_retry(patience.retries());
                Arc::new(builder.build().map_err(|error| bad(error.to_string()))?)
            }
            other => return Err(bad(format!("unknown scheme {other}: use file, s3, gs or az"))),
        };
        let prefix = Path::from_url_path(url.path()).map_err(|error| bad(error.to_string()))?;
        let mut root = url;
        root.set_path("/");
        // What is wrong with a disk hardly mends itself.
        let create_delays = if root.scheme() == "file" { CREATE_DELAYS.with_max_times(5) } else { CREATE_DELAYS };
        Ok(Store { inner, prefix, root, endpoint, patience: patience.duration(), create_delays })
    }
}

/// Gives a builder each credential by name, refusing names that it doesn't know.
fn configure<B, K: std::str::FromStr>(
    builder: B,
    credentials: &Credentials,
    uri: &str,
    with: impl Fn(B, K, String) -> B,
) -> Result<B, StorageError> {
    credentials.iter().try_fold(builder, |builder, (name, value)| match name.parse() {
        Ok(key) => Ok(with(builder, key, value.to_owned())),
        Err(_) => Err(StorageError::BadConfiguration(format!(
            "{uri}: its secret holds the key {}, which this kind of store doesn't know",
            name.to_ascii_uppercase()
        ))),
    })
}

/// How long a store that can't be reached, or answers with server errors, is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Long enough that a store may be gone for a minute in the middle of anything: of work that nobody watches.
    Outage,
    /// A few seconds: for a person who waits, and may have mistyped an address.
    Moment,
}

impl Patience {
    /// The longest that tries of one request go on. Below the five minutes for which a request's signature is good.
    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Patience::Outage => 150,
            Patience::Moment => 2,
        })
    }

    /// How the client tries again: until the time is over, however many tries that are.
    fn retries(self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: LONGEST_PAUSE.min(self.duration() / 4),
                base: 3.0,
            },
            max_retries: 1000,
            retry_timeout: self.duration(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use teasel_api::outcome::ExitCode;

    use super::*;

    #[rstest]
    #[case(Patience::Outage)]
    #[case(Patience::Moment)]
    fn the_clock_alone_ends_the_tries_and_does_so_before_signatures_expire(#[case] patience: Patience) {
        let RetryConfig { backoff, max_retries, retry_timeout } = patience.retries();
        assert!(
            backoff.init_backoff * max_retries as u32 > retry_timeout,
            "the shortest pauses make the most tries"
        );
        assert!(retry_timeout + backoff.max_backoff + Duration::from_secs(30) < Duration::from_secs(300));
        assert!(patience != Patience::Outage || retry_timeout > Duration::from_secs(90));
    }

    #[tokio::test]
    async fn a_moment_of_patience_ends_soon_where_nobody_listens() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT", "http://127.0.0.1:1"),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        let credentials = Credentials::from_pairs(keys.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let location = Location { uri: "s3://films/a".into(), secret_ref: None };
        let store = Store::open_with(&location, &credentials, Patience::Moment).unwrap();
        let gone = tokio::time::timeout(Duration::from_secs(20), store.get("object")).await.unwrap().unwrap_err();
        assert_eq!(gone.exit_code(), ExitCode::StorageUnavailable);
    }
}
