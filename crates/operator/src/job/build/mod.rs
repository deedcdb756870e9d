//! The objects that the operator makes: one file each. All are pure, and made once: what exists is never changed, but
//! for a job's NetworkPolicy, which every attempt brings up to date.

mod config_map;
mod gpu;
mod job;
mod network_policy;
mod pod;
mod quantity;
mod service;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use teasel_api::spec::RecommenderJob;

pub use config_map::{FROZEN_KEY, TASK_KEY, frozen_config_map, task_config_map};
pub use job::attempt_job;
pub use network_policy::network_policy;
pub use pod::template as pod_template;
pub use service::service;

use super::decide::Start;
use crate::names::{
    ATTEMPT_LABEL, JOB_LABEL, JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TASK_LABEL, TENANT_LABEL,
};

/// Where a worker's container finds its task file.
const TASK_FOLDER: &str = "/etc/teasel";
/// Where a worker may write.
const SCRATCH_FOLDER: &str = "/scratch";
/// Port of a worker's telemetry.
pub const TELEMETRY_PORT: i32 = 9700;
/// Port of the rendezvous at worker 0.
const RENDEZVOUS_PORT: i32 = 29500;

/// Why an object can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The pod template isn't one, though it was validated.
    #[error("the pod template of {task} can't be used: {source}")]
    Template {
        /// The task.
        task: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The task file can't be written.
    #[error("the task file can't be written: {0}")]
    TaskFile(serde_json::Error),
}

/// Labels of everything that belongs to a job.
fn job_labels(owner: &RecommenderJob) -> BTreeMap<String, String> {
    let name = owner.metadata.name.clone().unwrap_or_default();
    let uid = owner.metadata.uid.clone().unwrap_or_default();
    [(MANAGED_BY_LABEL, MANAGED_BY.to_owned()), (JOB_LABEL, name), (JOB_UID_LABEL, uid)]
        .map(|(label, value)| (label.to_owned(), value))
        .into()
}

/// Labels of an attempt's objects.
fn attempt_labels(owner: &RecommenderJob, start: &Start) -> BTreeMap<String, String> {
    let mut labels = job_labels(owner);
    labels.insert(TASK_LABEL.into(), start.key.kind.as_str().into());
    labels.insert(ATTEMPT_LABEL.into(), start.number.to_string());
    labels.extend(start.key.tenant.clone().map(|tenant| (TENANT_LABEL.to_owned(), tenant)));
    labels
}

/// Metadata of an object that goes with the job.
fn metadata(owner: &RecommenderJob, name: &str, labels: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: owner.metadata.namespace.clone(),
        labels: Some(labels),
        owner_references: Some(vec![OwnerReference {
            api_version: RecommenderJob::api_version(&()).into_owned(),
            kind: RecommenderJob::kind(&()).into_owned(),
            name: owner.metadata.name.clone().unwrap_or_default(),
            uid: owner.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}
