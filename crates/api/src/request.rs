//! What people ask of jobs and schedules by annotations, and the names that tie objects together. `kubectl teasel`
//! writes these annotations; the operator answers in the status.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Annotation of a job that asks to try again what has failed for good. Any text; another one is another request.
pub const RETRY_ANNOTATION: &str = "teasel.dev/retry";
/// Annotation of a job or schedule that asks for a [`PublishRequest`], as JSON.
pub const PUBLISH_REQUEST_ANNOTATION: &str = "teasel.dev/publish-request";
/// Annotation of a schedule that asks for a job: a time as RFC 3339 has it, whose minute is a tick.
pub const RETRAIN_ANNOTATION: &str = "teasel.dev/retrain-at";

/// Label of everything that a job makes: the job's name.
pub const JOB_LABEL: &str = "teasel.dev/job";
/// Label of everything that a job makes: the job's UID, which is also its run.
pub const JOB_UID_LABEL: &str = "teasel.dev/job-uid";
/// Label of an attempt's objects: the task, as [`TaskKind::as_str`](crate::task::TaskKind::as_str) has it.
pub const TASK_LABEL: &str = "teasel.dev/task";
/// Label of an attempt's objects: its number, counted from 1 for each task.
pub const ATTEMPT_LABEL: &str = "teasel.dev/attempt";
/// Label of a tenant's objects: its name.
pub const TENANT_LABEL: &str = "teasel.dev/tenant";
/// Label of a job that a schedule made: the schedule's name.
pub const SCHEDULE_LABEL: &str = "teasel.dev/schedule";
/// Name of a worker's container.
pub const WORKER_CONTAINER: &str = "worker";

/// Longest part of a job's name that its children's names carry.
const NAME_PART: usize = 28;

/// What the names of all that a job makes begin with: the job's name, cut, and 8 characters of its UID.
pub fn children_base(job: &str, uid: &str) -> String {
    let part: String = job.chars().take(NAME_PART).collect();
    let uid: String = uid.chars().filter(|character| *character != '-').take(8).collect();
    format!("{}-{uid}", part.trim_end_matches(['-', '.']))
}

/// Name of the job that a schedule makes for a tick: the schedule's, and the tick's minute since 1970, so that a tick
/// has one name only.
pub fn tick_job(schedule: &str, tick: Timestamp) -> String {
    format!("{schedule}-{}", tick.as_second().div_euclid(60))
}

/// A request to move a tenant's pointer. Value of the annotation [`PUBLISH_REQUEST_ANNOTATION`]; the answer, with the
/// same id, is `status.publishRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishRequest {
    /// Any text; another one is another request.
    pub id: String,
    /// Whose pointer.
    pub tenant: String,
    /// What to do.
    pub action: RequestAction,
    /// Run to go back to. Required by [`RequestAction::Rollback`], ignored by the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whether a rollback refuses later publishes until a release. Defaults to false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestAction {
    /// Publish this job's lists.
    Publish,
    /// The same, over another owner's lists.
    TakeOver,
    /// Go back to a run.
    Rollback,
    /// End a hold.
    Release,
}
