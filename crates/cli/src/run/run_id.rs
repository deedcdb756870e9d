//! Which run a job on this machine is.

use sha2::{Digest, Sha256};
use teasel_api::resolved::Job;
use teasel_storage::{RunRecord, Store};

use crate::failure::Failure;

/// Hash over what a run is made from: anything else in the job trains nothing anew.
///
/// Checkpoint intervals and the like are part of `training`; to change them starts a new run, as in a cluster.
pub(super) fn base_of(job: &Job, dataset: &str) -> String {
    let made_from = (&job.namespace, &job.name, &job.data, &job.model, &job.training, dataset);
    let json = serde_json::to_vec(&made_from).unwrap_or_default();
    hex::encode(Sha256::digest(json))[..10].to_owned()
}

/// The run to go on with: the newest of this base, or the next one.
pub(super) async fn choose(
    storage: &Store,
    base: &str,
    fresh: bool,
) -> Result<(String, Option<RunRecord>), Failure> {
    let mut newest = None;
    let mut number = 0u32;
    loop {
        let run = format!("{base}-{}", number + 1);
        match RunRecord::load(storage, &run).await? {
            Some(record) => newest = Some(record),
            // History took it; its id is never used again.
            None if RunRecord::was_collected(storage, &run).await? => {}
            None => break,
        }
        number += 1;
    }
    Ok(match newest {
        Some(record) if !fresh => (record.run.clone(), Some(record)),
        _ => (format!("{base}-{}", number + 1), None),
    })
}
