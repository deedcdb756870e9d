//! One version of a tenant's lists: its parts, their commits, and the manifest over all.

use std::path::Path;

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use teasel_api::task::Ownership;

use super::Version;
use crate::manifest::{self, File};
use crate::{StorageError, Store};

/// A committed shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u32,
    /// Its part, relative to the folder of the version.
    pub file: File,
    /// Users in it.
    pub users: u64,
    /// Of these, how many have no history that the model knows.
    pub cold: u64,
    /// A page with some people's lists, where the tenant asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<File>,
    /// Of the writer.
    pub nonce: String,
}

/// Whole lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreManifest {
    /// The run and the settings.
    pub version: Version,
    /// Whose they are, and how many shards they have.
    pub identity: ScoreIdentity,
    /// The parts, by shard, relative to the folder of the version.
    pub files: Vec<File>,
    /// Users in all parts.
    pub users: u64,
    /// Of these, how many have no history that the model knows.
    pub cold: u64,
    /// A page with some people's lists, relative to the folder of the version, where the tenant asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<File>,
    /// Of the writer.
    pub nonce: String,
}

/// Whose lists they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreIdentity {
    /// Name of the tenant.
    pub tenant: String,
    /// Who the run belongs to.
    pub ownership: Ownership,
    /// Number of shards.
    pub shards: u32,
}

/// One version of a tenant's lists, whole or not.
#[derive(Clone, Debug)]
pub struct Scores {
    folder: Store,
    version: Version,
}

impl Scores {
    /// The lists of `version` in a tenant's output place.
    pub fn new(output: &Store, version: &Version) -> Self {
        Scores { folder: output.sub(&version.path()), version: version.clone() }
    }

    /// Their folder.
    pub fn folder(&self) -> &Store {
        &self.folder
    }

    /// The commit of a shard, `None` where it is to be computed yet.
    pub async fn shard(&self, index: u32) -> Result<Option<Shard>, StorageError> {
        self.folder.get_json(&shard_path(index)).await
    }

    /// The commits of all shards.
    pub async fn shards(&self, count: u32) -> Result<Vec<Option<Shard>>, StorageError> {
        try_join_all((0..count).map(|index| self.shard(index))).await
    }

    /// Uploads a shard's Parquet file, and a page with some of its people if there is one, and commits them. Returns the shard that is committed in the end, which is another
    /// writer's if it was first.
    pub async fn commit_shard(
        &self,
        index: u32,
        part: &Path,
        users: u64,
        cold: u64,
        people: Option<String>,
    ) -> Result<Shard, StorageError> {
        let nonce = crate::nonce();
        let file = self.folder.put_file(&format!("{nonce}/part-{index}.parquet"), part).await?;
        let people = match people {
            Some(page) => Some(self.folder.put_described(&format!("{nonce}/people.html"), page.into()).await?),
            None => None,
        };
        let shard = Shard { index, file, users, cold, people, nonce };
        Ok(self.folder.create_json(&shard_path(index), shard).await?.0)
    }

    /// Commits the lists if every shard is committed, and returns their manifest; `None` while shards are missing.
    pub async fn commit_manifest(&self, identity: &ScoreIdentity) -> Result<Option<ScoreManifest>, StorageError> {
        if let Some(there) = self.manifest().await? {
            return Ok(Some(there));
        }
        let shards: Option<Vec<Shard>> = self.shards(identity.shards).await?.into_iter().collect();
        let Some(shards) = shards else {
            return Ok(None);
        };
        let manifest = ScoreManifest {
            version: self.version.clone(),
            identity: identity.clone(),
            users: shards.iter().map(|shard| shard.users).sum(),
            cold: shards.iter().map(|shard| shard.cold).sum(),
            people: shards.iter().find_map(|shard| shard.people.clone()),
            files: shards.into_iter().map(|shard| shard.file).collect(),
            nonce: crate::nonce(),
        };
        manifest::commit(&self.folder, "", manifest).await.map(Some)
    }

    /// The manifest, `None` where the lists aren't whole.
    pub async fn manifest(&self) -> Result<Option<ScoreManifest>, StorageError> {
        manifest::load(&self.folder, "").await
    }
}

fn shard_path(index: u32) -> String {
    format!("shards/{index}.json")
}
