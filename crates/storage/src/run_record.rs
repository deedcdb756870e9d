//! `runs/<run>/run.json`: what a run is, written before anything else of it.

use serde::{Deserialize, Serialize};
use teasel_api::resolved::Job;
use teasel_api::task::Ownership;

use crate::{StorageError, Store};

/// What a run is made from. Nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRecord {
    /// The run.
    pub run: String,
    /// Who it belongs to.
    pub ownership: Ownership,
    /// Fingerprint of the dataset.
    pub dataset: String,
    /// The job.
    pub job: Job,
    /// Of the writer.
    pub nonce: String,
}

impl RunRecord {
    /// Place of a run in the job's storage.
    pub fn folder(run: &str) -> String {
        format!("runs/{run}")
    }

    /// Writes the record if there is none, and returns the one that is there.
    ///
    /// # Errors
    /// [`StorageError::BadConfiguration`] where the run is already that of another dataset, or was collected.
    pub async fn create(self, storage: &Store) -> Result<RunRecord, StorageError> {
        let path = format!("{}/run.json", Self::folder(&self.run));
        let (run, dataset) = (self.run.clone(), self.dataset.clone());
        let (record, _) = storage.create_json(&path, self).await?;
        if record.dataset != dataset {
            return Err(StorageError::BadConfiguration(format!(
                "run {run} is of dataset {}, not of {dataset}",
                record.dataset
            )));
        }
        if Self::was_collected(storage, &run).await? {
            return Err(StorageError::BadConfiguration(format!(
                "run {run} was collected, and its name isn't used again"
            )));
        }
        Ok(record)
    }

    /// Whether `run` existed and `history` has collected it. Its name is never used again.
    pub async fn was_collected(storage: &Store, run: &str) -> Result<bool, StorageError> {
        Ok(storage.head(&format!("{}/{}", Self::folder(run), crate::manifest::RETIRED)).await?.is_some())
    }

    /// The record of `run`, `None` where there is no such run.
    pub async fn load(storage: &Store, run: &str) -> Result<Option<RunRecord>, StorageError> {
        storage.get_json(&format!("{}/run.json", Self::folder(run))).await
    }
}
