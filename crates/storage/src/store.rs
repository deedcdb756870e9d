//! A place in an object store, opened.

mod open;
pub(crate) mod pieces;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use url::Url;

use crate::StorageError;
use crate::create::{Created, Next, after_conflict, leaves_open};
use crate::error::deepest;
use crate::local::{self, Naming};

pub use open::Patience;
pub use pieces::read_in_pieces;

/// Longest pause between two tries of a request.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pauses between the tries of a create after which nothing is there: a minute in all. The client itself retries server
/// errors for longer before it reports them, but leaves a create whose connection broke to its caller.
const CREATE_DELAYS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(20))
    .with_factor(3.0)
    .with_max_delay(LONGEST_PAUSE)
    .with_max_times(17);

/// An object as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct ReadVersion {
    content: Bytes,
    update: UpdateVersion,
}

/// What became of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// Done, and only because the object was still the one that was read.
    Conditionally,
    /// Done, but this kind of store can't promise that nobody wrote in between.
    Blindly,
    /// Not done: the object has changed.
    Conflict,
}

/// A place in an object store: a store and a prefix in it. Paths are relative to the prefix. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: Path,
    root: Url,
    /// Address of the server, where it isn't the cloud's own.
    endpoint: Option<String>,
    /// How long tries of one request go on.
    patience: Duration,
    create_delays: ExponentialBuilder,
}

impl Store {
    /// A place in `inner`, for tests that bring a store of their own.
    pub fn from_parts(inner: Arc<dyn ObjectStore>, root: Url, prefix: Path) -> Self {
        Store {
            inner,
            prefix,
            root,
            endpoint: None,
            patience: Patience::Outage.duration(),
            create_delays: CREATE_DELAYS,
        }
    }

    /// The same place, whose creates are tried again at once: for tests that count steps instead of time.
    #[cfg(any(test, feature = "testing"))]
    pub fn without_pauses(self) -> Self {
        Store { create_delays: self.create_delays.with_min_delay(Duration::ZERO), ..self }
    }

    /// The place `path` below this one.
    pub fn sub(&self, path: &str) -> Store {
        Store { prefix: self.path(path), ..self.clone() }
    }

    /// The object at `path` in this place, whose name is somebody else's: nothing of it is escaped, where [`Self::path`] would.
    /// `None` where that is no path, such as one that leads out.
    pub fn named(&self, path: &str) -> Option<Store> {
        let below: Option<Vec<PathPart<'_>>> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| PathPart::parse(part).ok()).collect();
        let prefix = self.prefix.parts().chain(below?).collect();
        Some(Store { prefix, ..self.clone() })
    }

    /// The folder that this place lies in.
    pub fn parent(&self) -> Store {
        let parts: Vec<_> = self.prefix.parts().collect();
        let above = parts.split_last().map_or(&parts[..], |(_, above)| above);
        Store { prefix: above.iter().cloned().collect(), ..self.clone() }
    }

    /// This place's URL, without a slash at its end.
    pub fn uri(&self) -> String {
        format!("{}{}", self.root, self.prefix).trim_end_matches('/').to_owned()
    }

    /// Address of the server that `uri` is asked of, where the credentials name one: two servers may have buckets of
    /// one name.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// URL of an object of this place.
    pub fn uri_of(&self, path: &str) -> String {
        format!("{}{}", self.root, self.path(path))
    }

    /// The whole store behind this place.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner)
    }

    /// Root of the whole store: `s3://bucket/` or `file:///`.
    pub fn url(&self) -> &Url {
        &self.root
    }

    /// An object's path in the whole store; the place's own for an empty path.
    pub fn path(&self, relative: &str) -> Path {
        relative.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The local folder that this place is, where it is one.
    pub fn local_folder(&self) -> Option<PathBuf> {
        self.file("")
    }

    fn file(&self, path: &str) -> Option<PathBuf> {
        (self.root.scheme() == "file").then(|| PathBuf::from(format!("/{}", self.path(path))))
    }

    fn error(&self, path: &str, error: object_store::Error) -> StorageError {
        StorageError::from_object_store(self.uri_of(path), &error)
    }

    /// An object's bytes, `None` where it isn't there.
    pub async fn get_optional(&self, path: &str) -> Result<Option<Bytes>, StorageError> {
        optional(self.get(path).await)
    }

    /// What is known of an object, `None` where it isn't there.
    pub async fn head(&self, path: &str) -> Result<Option<ObjectMeta>, StorageError> {
        optional(self.inner.head(&self.path(path)).await.map_err(|error| self.error(path, error)))
    }

    /// Writes an object only if none has its name.
    ///
    /// `bytes` hold a nonce: equal content means that the write was ours, whatever the store answered.
    ///
    /// # Errors
    /// An error says nothing about whether the object was written.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<Created, StorageError> {
        let mut delays = self.create_delays.build();
        let started = Instant::now();
        loop {
            let error = match self.try_create(path, &bytes).await {
                Ok(()) => return Ok(Created::Created),
                Err(error) => error,
            };
            if !leaves_open(&error) {
                return Err(self.error(path, error));
            }
            match after_conflict(&bytes, self.get_optional(path).await?) {
                Next::Done(created) => return Ok(created),
                Next::Again => {}
            }
            // Each try may have been as long as the client's patience.
            match delays.next().filter(|_| started.elapsed() < self.patience) {
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                Some(delay) => tokio::time::sleep(delay).await,
                None => {
                    return Err(StorageError::Unavailable {
                        uri: self.uri_of(path),
                        message: format!("conditional writes fail though nothing is there: {}", deepest(&error)),
                    });
                }
            }
        }
    }

    async fn try_create(&self, path: &str, bytes: &Bytes) -> object_store::Result<()> {
        if let Some(file) = self.file(path) {
            let bytes = bytes.clone();
            let written = tokio::task::spawn_blocking(move || local::write(&file, &bytes, Naming::Create)).await?;
            return written.map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    object_store::Error::AlreadyExists { path: path.to_owned(), source: error.into() }
                }
                std::io::ErrorKind::PermissionDenied => {
                    object_store::Error::PermissionDenied { path: path.to_owned(), source: error.into() }
                }
                _ => object_store::Error::Generic { store: "LocalFileSystem", source: error.into() },
            });
        }
        let options = PutOptions::from(PutMode::Create);
        self.inner.put_opts(&self.path(path), PutPayload::from_bytes(bytes.clone()), options).await.map(|_| ())
    }

    /// All objects below `path`, with their paths relative to this place, in order.
    pub async fn list(&self, path: &str) -> Result<Vec<(String, ObjectMeta)>, StorageError> {
        let below = self.path(path);
        let found: Vec<ObjectMeta> =
            self.inner.list(Some(&below)).try_collect().await.map_err(|error| self.error(path, error))?;
        let mut named: Vec<_> = found
            .into_iter()
            .map(|object| {
                let full = object.location.to_string();
                let relative = full.strip_prefix(self.prefix.as_ref()).unwrap_or(&full).trim_start_matches('/');
                (relative.to_owned(), object)
            })
            .collect();
        named.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(named)
    }

    /// Names of the folders right below `path`, in order.
    pub async fn folders(&self, path: &str) -> Result<Vec<String>, StorageError> {
        let below = self.path(path);
        let found = self.inner.list_with_delimiter(Some(&below)).await.map_err(|error| self.error(path, error))?;
        let mut names: Vec<_> =
            found.common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes an object; none there is as good.
    pub async fn delete(&self, path: &str) -> Result<(), StorageError> {
        optional(self.inner.delete(&self.path(path)).await.map_err(|error| self.error(path, error))).map(|_| ())
    }

    /// Deletes all objects below `path`.
    pub async fn delete_all(&self, path: &str) -> Result<(), StorageError> {
        for (name, _) in self.list(path).await? {
            self.delete(&name).await?;
        }
        self.remove_deleted_folders(path).await;
        Ok(())
    }

    /// Removes empty folders below `path`, where folders are a thing of their own, with what killed writers left in them
    /// and no listing shows. What somebody may still write to stays.
    pub(crate) async fn remove_empty_folders(&self, path: &str) {
        self.remove_folders(path, local::ABANDONED).await;
    }

    /// The same of a place that is deleted: what nobody has finished yet goes too.
    pub(crate) async fn remove_deleted_folders(&self, path: &str) {
        self.remove_folders(path, Duration::ZERO).await;
    }

    async fn remove_folders(&self, path: &str, abandoned: Duration) {
        if let Some(folder) = self.file(path) {
            let _ = tokio::task::spawn_blocking(move || local::remove_empty_folders(&folder, abandoned)).await;
        }
    }

    /// An object's bytes and what tells them from later ones under the same name.
    pub(crate) async fn get_versioned(&self, path: &str) -> Result<Option<(Bytes, ReadVersion)>, StorageError> {
        let Some(found) =
            optional(self.inner.get(&self.path(path)).await.map_err(|error| self.error(path, error)))?
        else {
            return Ok(None);
        };
        let update = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|error| self.error(path, error))?;
        Ok(Some((bytes.clone(), ReadVersion { content: bytes, update })))
    }

    /// Replaces an object if it is still the one that was read, or still absent.
    pub(crate) async fn replace(
        &self,
        path: &str,
        bytes: Bytes,
        read: Option<ReadVersion>,
    ) -> Result<Replaced, StorageError> {
        if let Some(file) = self.file(path) {
            let expected = read.map(|read| read.content);
            let replaced = self.blocking(path, move || local::replace(&file, &bytes, expected.as_deref())).await?;
            return Ok(if replaced { Replaced::Blindly } else { Replaced::Conflict });
        }
        let mode = read.map_or(PutMode::Create, |read| PutMode::Update(read.update));
        let payload = PutPayload::from_bytes(bytes.clone());
        match self.inner.put_opts(&self.path(path), payload, PutOptions::from(mode)).await {
            Ok(_) => Ok(Replaced::Conditionally),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Replaced::Conflict)
            }
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                self.put(path, bytes).await.map(|()| Replaced::Blindly)
            }
            Err(error) => Err(self.error(path, error)),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let done =
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        done.map_err(|error| StorageError::from_file(self.uri_of(path), &error))
    }
}

fn optional<T>(result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
