//! `current.json`: the newest pointer again, for readers in a hurry.

use serde::{Deserialize, Serialize};

use super::{OutputLog, Scores};
use crate::store::{ReadVersion, Replaced};
use crate::{StorageError, Store};

/// Name of the cache in a tenant's output.
const CURRENT: &str = "current.json";

/// The lists that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Current {
    /// Index of the log entry that points to them.
    pub entry: u64,
    /// The run.
    pub run: String,
    /// Hash over everything that decides the lists.
    pub score_hash: String,
    /// Their folder, relative to the tenant's output.
    pub path: String,
    /// Their Parquet files, relative to the tenant's output.
    pub files: Vec<String>,
}

/// The lists that count, by the log; `None` where nothing has been published.
pub async fn current(output: &Store) -> Result<Option<Current>, StorageError> {
    by_log(&OutputLog::open(output).await?).await
}

async fn by_log(log: &OutputLog) -> Result<Option<Current>, StorageError> {
    let Some((entry, version)) = log.state().current() else {
        return Ok(None);
    };
    let scores = Scores::new(log.output(), version);
    let manifest = scores.manifest().await?.ok_or_else(|| StorageError::Corrupt {
        uri: scores.folder().uri(),
        message: "it was published, but its manifest isn't there".into(),
    })?;
    let path = version.path();
    let files = manifest.files.iter().map(|file| format!("{path}/{}", file.name)).collect();
    Ok(Some(Current { entry, run: version.run.clone(), score_hash: version.score_hash.clone(), path, files }))
}

/// Writes the cache until it says what the log says.
///
/// Where the store can replace an object only if it is the one that was read, a writer that was paused in between
/// can't set the cache back. Where it can't, a writer reads the log again after its write, and repairs what it did.
pub(super) async fn repair(log: &mut OutputLog) -> Result<(), StorageError> {
    let output = log.output().clone();
    loop {
        let (cached, version) = read(&output).await?;
        let Some(current) = by_log(log).await? else {
            return Ok(());
        };
        match cached {
            Some(cached) if cached == current => return Ok(()),
            Some(cached) if cached.entry >= log.state().length() => {
                // Somebody knows more of the log than we do.
                log.refresh().await?;
                if log.state().length() <= cached.entry {
                    return Err(StorageError::Corrupt {
                        uri: output.uri_of(CURRENT),
                        message: format!("it names log entry {}, which isn't there", cached.entry),
                    });
                }
                continue;
            }
            _ => {}
        }
        let bytes = crate::manifest::to_json(&current)?;
        match output.replace(CURRENT, bytes, version).await? {
            Replaced::Conflict => {}
            Replaced::Conditionally => return Ok(()),
            Replaced::Blindly => {
                let written = log.state().length();
                log.refresh().await?;
                if log.state().length() == written {
                    return Ok(());
                }
            }
        }
        log.refresh().await?;
    }
}

/// What the cache says, if it can be read, and its version.
async fn read(output: &Store) -> Result<(Option<Current>, Option<ReadVersion>), StorageError> {
    Ok(match output.get_versioned(CURRENT).await? {
        None => (None, None),
        // A damaged cache is written anew.
        Some((bytes, version)) => (serde_json::from_slice(&bytes).ok(), Some(version)),
    })
}
