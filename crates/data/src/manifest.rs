//! Manifests of prepared data.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use teasel_api::outcome::Usage;
use teasel_storage::manifest::{self, File};
use teasel_storage::{StorageError, Store};

use crate::DataError;
use crate::fingerprint::{FORMAT_VERSION, OLDEST_VERSION};

/// `datasets/<fingerprint>/manifest.json`. Names of files are relative to its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DatasetManifest {
    pub(crate) version: u32,
    /// Tells writers apart.
    pub(crate) nonce: String,
    pub(crate) items: u32,
    /// Whether users' files have a column of weights.
    pub(crate) weighted: bool,
    /// Training users of each virtual shard.
    pub(crate) shard_users: Vec<u64>,
    pub(crate) users: Vec<UsersPart>,
    pub(crate) validation: File,
    pub(crate) test: File,
    pub(crate) catalogue: File,
    /// How many items there are that nobody trains with.
    #[serde(default)]
    pub(crate) cold_items: u32,
    /// These items. An earlier release's has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cold_catalogue: Option<File>,
    pub(crate) report: File,
    /// What it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preparation: Option<Usage>,
}

/// Training users of a range of virtual shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UsersPart {
    pub(crate) file: File,
    pub(crate) first_shard: u32,
    pub(crate) end_shard: u32,
}

/// `tenants/<tenant>/<fingerprint>/manifest.json`. Names of files are relative to its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TenantManifest {
    pub(crate) version: u32,
    /// Tells writers apart.
    pub(crate) nonce: String,
    /// Value of the tenant column.
    pub(crate) value: String,
    pub(crate) weighted: bool,
    pub(crate) users: u64,
    pub(crate) cold_users: u64,
    /// By user, one part after the other.
    pub(crate) parts: Vec<TenantPart>,
}

/// Some of a tenant's users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TenantPart {
    pub(crate) file: File,
    pub(crate) users: u64,
    /// The greatest user id of the part.
    pub(crate) last_user: String,
}

/// Folder of a dataset, as it is now: a collected one's is never used again.
pub(crate) async fn dataset_folder(storage: &Store, fingerprint: &str) -> Result<String, StorageError> {
    manifest::live_folder(storage, &format!("datasets/{fingerprint}")).await
}

/// Folder of a tenant's users, likewise.
pub(crate) async fn tenant_folder(
    storage: &Store,
    tenant: &str,
    fingerprint: &str,
) -> Result<String, StorageError> {
    manifest::live_folder(storage, &format!("tenants/{tenant}/{fingerprint}")).await
}

/// The manifest in `folder`, of this release's format.
///
/// # Errors
/// [`DataError::NotPrepared`] where there is none, [`DataError::Configuration`] where another release wrote it.
pub(crate) async fn open_manifest<M: DeserializeOwned>(
    folder: &Store,
    version: impl Fn(&M) -> u32,
) -> Result<M, DataError> {
    let found: Option<M> = manifest::load(folder, "").await?;
    let found = found.ok_or_else(|| DataError::NotPrepared { uri: folder.uri() })?;
    match version(&found) {
        OLDEST_VERSION..=FORMAT_VERSION => Ok(found),
        other => Err(DataError::Configuration(format!(
            "{} has format {other} instead of {FORMAT_VERSION}: prepare it anew",
            folder.uri()
        ))),
    }
}
