//! Manifests: one small object, created if absent, that names exact files.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Created, StorageError, Store};

/// A file that an entry or manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// Path, relative to where the entry or manifest says.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl File {
    /// Describes `bytes` under `name`.
    pub fn of(name: impl Into<String>, bytes: &[u8]) -> Self {
        File { name: name.into(), size: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
    }

    /// Checks a size and checksum against this description.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`].
    pub fn check(&self, size: u64, sha256: &str, uri: impl Fn() -> String) -> Result<(), StorageError> {
        if size != self.size {
            let message = format!("it has {size} bytes instead of {}", self.size);
            return Err(StorageError::Corrupt { uri: uri(), message });
        }
        if sha256 != self.sha256 {
            return Err(StorageError::Corrupt { uri: uri(), message: "its checksum is wrong".into() });
        }
        Ok(())
    }
}

impl Store {
    /// Writes `bytes` to `path` and describes them under that name.
    pub async fn put_described(&self, path: &str, bytes: Bytes) -> Result<File, StorageError> {
        let file = File::of(path, &bytes);
        self.put(path, bytes).await?;
        Ok(file)
    }

    /// Bytes of a file that an entry or manifest names, checked.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where it is cut or changed.
    pub async fn get_checked(&self, file: &File) -> Result<Bytes, StorageError> {
        let bytes = self.get(&file.name).await?;
        file.check(bytes.len() as u64, &hex::encode(Sha256::digest(&bytes)), || self.uri_of(&file.name))?;
        Ok(bytes)
    }

    /// A JSON object, `None` where it isn't there.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, StorageError> {
        self.get_optional(path).await?.map(|bytes| self.parse(path, &bytes)).transpose()
    }

    /// Creates a JSON object if absent, and returns the one that is there in the end, with whether it is ours.
    pub async fn create_json<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        value: T,
    ) -> Result<(T, bool), StorageError> {
        match self.create(path, to_json(&value)?).await? {
            Created::Created => Ok((value, true)),
            Created::Exists(bytes) => Ok((self.parse(path, &bytes)?, false)),
        }
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Result<T, StorageError> {
        serde_json::from_slice(bytes)
            .map_err(|error| StorageError::Corrupt { uri: self.uri_of(path), message: error.to_string() })
    }
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<Bytes, StorageError> {
    serde_json::to_vec_pretty(value)
        .map(Bytes::from)
        .map_err(|error| StorageError::BadConfiguration(format!("can't be written as JSON: {error}")))
}

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";

/// Commits `manifest` to `folder`, and returns the manifest that is there in the end: another writer's, if it was
/// first. The manifest holds a nonce of its writer.
pub async fn commit<T: Serialize + DeserializeOwned>(
    store: &Store,
    folder: &str,
    manifest: T,
) -> Result<T, StorageError> {
    Ok(store.create_json(&format!("{folder}/{MANIFEST}"), manifest).await?.0)
}

/// The manifest of `folder`, `None` where nothing is committed.
pub async fn load<T: DeserializeOwned>(store: &Store, folder: &str) -> Result<Option<T>, StorageError> {
    store.get_json(&format!("{folder}/{MANIFEST}")).await
}

/// Marker in a folder that collection has retired. It stays for good, so that the folder's names are never used again.
pub(crate) const RETIRED: &str = "Retired";

/// The folder that stands for `folder` now: itself, or after it was retired `<folder>.1`, and so on.
///
/// Datasets (`datasets/<fingerprint>`) and tenants' users (`tenants/<tenant>/<fingerprint>`) are always reached through
/// this. A run first writes its `run.json`, which names the dataset, and then looks here: either the collector sees the
/// run, or the run sees that the dataset is gone and prepares it anew.
pub async fn live_folder(store: &Store, folder: &str) -> Result<String, StorageError> {
    let mut candidate = folder.to_owned();
    let mut generation = 0u32;
    while store.head(&format!("{candidate}/{RETIRED}")).await?.is_some() {
        generation += 1;
        candidate = format!("{folder}.{generation}");
    }
    Ok(candidate)
}
