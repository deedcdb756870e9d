//! Shards of a tenant's lists. Each is committed once; whoever finds all committed makes them whole.

use serde::{Deserialize, Serialize};

use crate::manifest::{self, File};
use crate::{StorageError, Store};

/// What a committed shard is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardRecord {
    /// Its file, by its name in the lists' folder.
    pub file: File,
    /// Users in it.
    pub users: u64,
    /// Of them, users without a history.
    pub cold_users: u64,
    /// Recommendations in it.
    pub rows: u64,
    /// Of the writer.
    pub nonce: String,
}

/// Whole lists of a tenant: all shards of one run and score hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lists {
    /// The run.
    pub run: String,
    /// Hash over all that decides the lists.
    pub score_hash: String,
    /// Users in them.
    pub users: u64,
    /// Of them, users without a history.
    pub cold_users: u64,
    /// Recommendations in them.
    pub rows: u64,
    /// Files, by their names in the lists' folder.
    pub files: Vec<File>,
}

/// Folder of a run's lists in a tenant's output.
pub fn lists_folder(run: &str, score_hash: &str) -> String {
    format!("runs/{run}/{score_hash}")
}

fn shard_path(shard: u32) -> String {
    format!("shards/{shard}.json")
}

/// Commits a shard whose file has been written, and returns the record that is there in the end: another attempt's,
/// if it was first. `lists` is the lists' folder.
pub async fn commit_shard(lists: &Store, shard: u32, record: ShardRecord) -> Result<ShardRecord, StorageError> {
    Ok(lists.create_json(&shard_path(shard), record).await?.0)
}

/// Records of the shards `0..shards` that are committed.
pub async fn committed_shards(lists: &Store, shards: u32) -> Result<Vec<Option<ShardRecord>>, StorageError> {
    let mut records = Vec::with_capacity(shards as usize);
    for shard in 0..shards {
        records.push(lists.get_json(&shard_path(shard)).await?);
    }
    Ok(records)
}

/// Makes lists whole once every shard is committed: writes the manifest if there is none. `None` while one is missing.
pub async fn complete(
    lists: &Store,
    run: &str,
    score_hash: &str,
    shards: u32,
) -> Result<Option<Lists>, StorageError> {
    let Some(records) = committed_shards(lists, shards).await?.into_iter().collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let sum = |value: fn(&ShardRecord) -> u64| records.iter().map(value).sum();
    let whole = Lists {
        run: run.to_owned(),
        score_hash: score_hash.to_owned(),
        users: sum(|record| record.users),
        cold_users: sum(|record| record.cold_users),
        rows: sum(|record| record.rows),
        files: records.iter().map(|record| record.file.clone()).collect(),
    };
    // Every writer makes the same manifest of the same records, so it doesn't matter who wins.
    manifest::commit(lists, "", whole).await.map(Some)
}

/// The manifest of a run's lists in a tenant's output, `None` where they aren't whole.
pub async fn load_lists(output: &Store, run: &str, score_hash: &str) -> Result<Option<Lists>, StorageError> {
    manifest::load(&output.sub(&lists_folder(run, score_hash)), "").await
}
