//! Which prepared data go, and how.

use std::collections::BTreeSet;

use super::DAY;
use super::runs::summaries;
use crate::manifest::RETIRED;
use crate::{StorageError, Store};

/// Deletes datasets and tenants' users that no run names, and returns their folders.
///
/// What was written during the last day stays: its run may be about to begin. That only spares work, since such a run
/// would find the marker and prepare anew ([`crate::manifest::live_folder`]).
pub(super) async fn collect(storage: &Store, now: i64) -> Result<Vec<String>, StorageError> {
    let mut gone = Vec::new();
    let named = named(storage).await?;
    for folder in folders(storage).await? {
        if !named.contains(fingerprint(&folder)) && delete(storage, &folder, now).await? {
            gone.push(folder);
        }
    }
    Ok(gone)
}

async fn named(storage: &Store) -> Result<BTreeSet<String>, StorageError> {
    Ok(summaries(storage).await?.into_iter().map(|summary| summary.dataset).collect())
}

/// All folders of prepared data.
async fn folders(storage: &Store) -> Result<Vec<String>, StorageError> {
    let mut parents = vec!["datasets".to_owned()];
    parents.extend(storage.folders("tenants").await?.into_iter().map(|tenant| format!("tenants/{tenant}")));
    let mut folders = Vec::new();
    for parent in parents {
        folders.extend(storage.folders(&parent).await?.into_iter().map(|name| format!("{parent}/{name}")));
    }
    Ok(folders)
}

/// Fingerprint in a folder's name, which may end with the number that it got after a former one was retired.
fn fingerprint(folder: &str) -> &str {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    name.split('.').next().unwrap_or(name)
}

/// Deletes what lies in a folder; `false` where nothing was to do, or a run has come to name it.
///
/// A marker is never taken back: another collector may be deleting already. A run that comes to name a folder in
/// between prepares anew, and this folder goes once no run names it.
async fn delete(storage: &Store, folder: &str, now: i64) -> Result<bool, StorageError> {
    let marker = format!("{folder}/{RETIRED}");
    let present = storage.list(folder).await?;
    let retired = present.iter().any(|(path, _)| *path == marker);
    let newest = present.iter().map(|(_, object)| object.last_modified.timestamp_millis()).max();
    let files: Vec<String> = present.into_iter().map(|(path, _)| path).filter(|path| *path != marker).collect();
    if files.is_empty() {
        // No listing shows what a writer left that was killed at its first file.
        storage.remove_empty_folders(folder).await;
        return Ok(false);
    }
    if newest.is_some_and(|newest| newest > now.saturating_sub(DAY)) {
        return Ok(false);
    }
    if !retired {
        storage.put(&marker, crate::nonce().into()).await?;
    }
    // A run that wrote its record before this look keeps its data; one that does so later finds the marker.
    if named(storage).await?.contains(fingerprint(folder)) {
        return Ok(false);
    }
    // Only what was listed: the folder's names are never used again, so nothing new can be among them.
    for path in &files {
        storage.delete(path).await?;
    }
    storage.remove_empty_folders(folder).await;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_folder_prepared_anew_is_of_the_same_fingerprint() {
        assert_eq!(fingerprint("datasets/abc"), "abc");
        assert_eq!(fingerprint("tenants/cinema-a/abc.2"), "abc");
    }
}
