//! Checkpoints: written under a name of their own, committed by a log entry, read with their checksums checked.
//!
//! A checkpoint's files lie in `checkpoints/<term>-<step>-<nonce>/`. They exist for readers only once an entry of the
//! run log names them, and files are deleted only after no entry does.

mod garbage;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::try_join_all;

pub use garbage::collect;

use crate::manifest::File;
use crate::run_log::{Checkpoint, RunLog};
use crate::{StorageError, Store};

/// Folder of a run's checkpoints, below the run's.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// Uploads a checkpoint's files, by their bare names, below the run's folder, and returns them as its `Checkpoint`
/// entry must name them.
///
/// Owned arguments: it can run in the background while training goes on.
pub async fn upload(
    run: Store,
    term: u64,
    step: u64,
    files: Vec<(String, Bytes)>,
) -> Result<Vec<File>, StorageError> {
    let folder = format!("{CHECKPOINTS}/{term}-{step}-{}", crate::nonce());
    let run = &run;
    try_join_all(files.into_iter().map(|(name, bytes)| {
        let path = format!("{folder}/{name}");
        async move { run.put_described(&path, bytes).await }
    }))
    .await
}

/// A checkpoint that was read and found whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Index of its entry.
    pub entry: u64,
    /// Its description.
    pub checkpoint: Checkpoint,
    /// Contents of its files, by bare name.
    pub files: BTreeMap<String, Bytes>,
    /// Newer checkpoints that were passed over, newest first.
    pub damaged: Vec<Damaged>,
}

/// A checkpoint that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Index of its entry.
    pub entry: u64,
    /// Its step.
    pub step: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Reads the newest checkpoint that is whole; `None` where the run has none.
///
/// # Errors
/// [`StorageError::Corrupt`] where there are checkpoints and every one of them is damaged.
pub async fn load_newest(log: &RunLog) -> Result<Option<Loaded>, StorageError> {
    let mut damaged = Vec::new();
    for (entry, checkpoint) in log.state().checkpoints().rev() {
        match read(log.folder(), checkpoint).await {
            Ok(files) => return Ok(Some(Loaded { entry, checkpoint: checkpoint.clone(), files, damaged })),
            Err(error @ (StorageError::Corrupt { .. } | StorageError::NotFound { .. })) => {
                damaged.push(Damaged { entry, step: checkpoint.step, message: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    match damaged.into_iter().next() {
        None => Ok(None),
        Some(newest) => Err(StorageError::Corrupt {
            uri: log.folder().uri_of(CHECKPOINTS),
            message: format!("no checkpoint is whole; of the newest, {}", newest.message),
        }),
    }
}

/// Reads the checkpoint of this entry.
///
/// # Errors
/// [`StorageError::NotFound`] where the entry isn't a checkpoint, or is retired; [`StorageError::Corrupt`].
pub async fn load(log: &RunLog, entry: u64) -> Result<Loaded, StorageError> {
    let checkpoint = log
        .state()
        .checkpoint(entry)
        .ok_or_else(|| StorageError::NotFound { uri: format!("checkpoint {entry} of {}", log.folder().uri()) })?;
    let files = read(log.folder(), checkpoint).await?;
    Ok(Loaded { entry, checkpoint: checkpoint.clone(), files, damaged: Vec::new() })
}

async fn read(run: &Store, checkpoint: &Checkpoint) -> Result<BTreeMap<String, Bytes>, StorageError> {
    let files = try_join_all(checkpoint.files.iter().map(|file| async move {
        let bare = file.name.rsplit('/').next().unwrap_or(&file.name).to_owned();
        Ok::<_, StorageError>((bare, run.get_checked(file).await?))
    }));
    Ok(files.await?.into_iter().collect())
}
