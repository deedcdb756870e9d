//! Opening a place: which kind of store a URL means, and what its client is given.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use teasel_api::location::Location;
use url::Url;

use super::{CREATE_DELAYS, Store};
use crate::{Credentials, StorageError};

impl Store {
    /// Opens `location`: `file://`, `s3://`, `gs://`, `az://`, or an absolute path.
    ///
    /// # Errors
    /// [`StorageError::BadConfiguration`] where the URL or a credential's name isn't known. Nothing is sent yet: wrong
    /// credentials show at the first request.
    pub fn open(location: &Location, credentials: &Credentials) -> Result<Self, StorageError> {
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
                let builder = builder.with_url(url.as_str()).with_retry(retries());
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
                let builder = builder.with_url(url.as_str()).with_retry(retries());
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
                let builder = builder.with_url(url.as_str()).with_retry(retries());
                Arc::new(builder.build().map_err(|error| bad(error.to_string()))?)
            }
            other => return Err(bad(format!("unknown scheme {other}: use file, s3, gs or az"))),
        };
        let prefix = Path::from_url_path(url.path()).map_err(|error| bad(error.to_string()))?;
        let mut root = url;
        root.set_path("/");
        Ok(Store { inner, prefix, root, endpoint, create_delays: CREATE_DELAYS })
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

/// Server errors and timeouts are tried again with growing pauses, for a minute: then it is for the starter to wait.
fn retries() -> RetryConfig {
    RetryConfig { retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}
