//! What the operator knows of a job.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::task::TaskKind;

/// Schema of a time: RFC 3339 text.
pub(crate) fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// What the operator knows of a job.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecommenderJobStatus {
    /// phase sums up the conditions, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// reason of the condition that decided the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// observedGeneration is the generation that this status was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// run is the name of the job's run in storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// dataset is the fingerprint of the prepared dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// frozen lists the stages whose fields can't change any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["stage"]))]
    pub frozen: Vec<FrozenStage>,
    /// conditions of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// attempts are each task's newest and every running one, and the newest 20 others. Of a tenant that has
    /// succeeded, tenants has the number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptStatus>,
    /// activeSeconds is how long the job was active before activeSince.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_seconds: Option<i64>,
    /// activeSince is when the job last became active.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub active_since: Option<jiff::Timestamp>,
    /// restarts counts what failurePolicy limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<RestartsStatus>,
    /// disruptions counts restarts that cost nothing, by cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disruptions: Option<DisruptionsStatus>,
    /// workers counts training pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersStatus>,
    /// progress of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// checkpoint is the newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointStatus>,
    /// metrics on the test users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<MetricStatus>,
    /// tenants are all tenants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tenants: Vec<TenantStatus>,
    /// publishedTenants counts tenants whose lists of this run are visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_tenants: Option<u32>,
    /// publishedRun is the run that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_run: Option<String>,
    /// retry is the newest value of the annotation teasel.dev/retry that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// publishRequest answers the newest request to publish, roll back or release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_request: Option<PublishRequestStatus>,
    /// startTime is when the job was first acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub start_time: Option<jiff::Timestamp>,
    /// completionTime is when the job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub completion_time: Option<jiff::Timestamp>,
}

/// Where a job is.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Phase {
    Pending,
    Queued,
    Preparing,
    Training,
    Evaluating,
    Scoring,
    Succeeded,
    Failed,
    Suspended,
}

/// A stage whose fields can't change any more.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenStage {
    /// stage is Data (data and storage), Model (model and training) or Gates. A tenant's hash stands in tenants.
    pub stage: Stage,
    /// hash over the stage's resolved fields.
    pub hash: String,
    /// generation that they were resolved from.
    pub generation: i64,
}

/// Fields of a job that are resolved together, before the first attempt that reads them.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Stage {
    Data,
    Model,
    Gates,
}

/// A condition, as meta/v1 has it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// type of the condition: Validated, QuotaReserved, Suspended, Prepared, Trained, GatesPassed, Scored, Published,
    /// Restarting, Complete or Failed.
    #[serde(rename = "type")]
    pub kind: String,
    /// status is True, False or Unknown.
    pub status: String,
    /// observedGeneration is the generation that the condition was set from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// lastTransitionTime is when status last changed.
    #[schemars(schema_with = "timestamp")]
    pub last_transition_time: jiff::Timestamp,
    /// reason in CamelCase.
    pub reason: String,
    /// message says what happened and what to do.
    pub message: String,
}

/// One attempt at a task.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptStatus {
    /// task is the task's name.
    pub task: TaskKind,
    /// tenant that the task is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// number of the attempt.
    pub number: u32,
    /// jobUID is the UID of the attempt's Job, once it is seen.
    #[serde(rename = "jobUID", default, skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// hash over the fields that the attempt was made from.
    pub hash: String,
    /// generation is metadata.generation when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// startTime is when the attempt was decided on.
    #[schemars(schema_with = "timestamp")]
    pub start_time: jiff::Timestamp,
    /// endTime is when it ended or was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub end_time: Option<jiff::Timestamp>,
    /// firstStep is the training step that it started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_step: Option<u64>,
    /// lastStep is the newest training step that it made durable; of scoring, the number of shards that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// outcome is how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
    /// reason in CamelCase: why it ended, or what is about to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// message is what the failed worker said, or what Kubernetes said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// failures of the task since it was started or mended, this one included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// outOfMemory counts those by lack of memory.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub out_of_memory: u32,
    /// withoutProgress counts the attempts in a row that ended, whatever the reason, with no more done than before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_progress: u32,
    /// disruptions counts those of them that were disruptions, apart from those that say nothing against the task: no node had
    /// room, or the queue took the quota back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disruptions: u32,
    /// retryingSince is when the first of the attempts in a row ended that lacked input or permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub retrying_since: Option<jiff::Timestamp>,
    /// mended says that the fields were changed, or a retry asked for, after the task had failed for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mended: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How an attempt ended.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// The task is done.
    Succeeded,
    /// It failed, which counts against failurePolicy.maxFailures.
    Failed,
    /// It ran out of memory, which counts against failurePolicy.maxOutOfMemory.
    OutOfMemory,
    /// It would end the same way again, unless something is changed.
    PermanentFailure,
    /// Its pods were taken away, or never placed: free, as long as work advances.
    Disrupted,
    /// It was stopped on request.
    Suspended,
}

/// What failurePolicy limits.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestartsStatus {
    /// failures so far.
    pub failures: u32,
    /// outOfMemory counts ends by lack of memory.
    pub out_of_memory: u32,
}

/// Restarts that cost nothing, by cause.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisruptionsStatus {
    /// total of all causes.
    pub total: u32,
    /// nodeFailure counts nodes that died or were cut off.
    pub node_failure: u32,
    /// eviction counts drains and node pressure.
    pub eviction: u32,
    /// preemption counts pods that gave way to others.
    pub preemption: u32,
    /// unschedulable counts attempts whose pods weren't all scheduled in time.
    pub unschedulable: u32,
}

/// Training pods.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkersStatus {
    /// desired number.
    pub desired: u32,
    /// ready number.
    pub ready: u32,
}

/// Progress of training.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressStatus {
    /// epoch that is under way, from 1.
    pub epoch: u32,
    /// epochs at most.
    pub epochs: u32,
    /// step over all epochs.
    pub step: u64,
    /// percent of all steps.
    pub percent: u32,
    /// estimatedCompletion is when training ends if it goes on like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub estimated_completion: Option<jiff::Timestamp>,
    /// usersPerSecond over all ranks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_per_second: Option<f64>,
    /// loss per user of the newest step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

/// A checkpoint.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointStatus {
    /// step that it holds.
    pub step: u64,
    /// time when it was committed.
    #[schemars(schema_with = "timestamp")]
    pub time: jiff::Timestamp,
    /// uri of its files.
    pub uri: String,
}

/// A metric's value.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// name, such as ndcg@100.
    pub name: String,
    /// value of the metric.
    pub value: f64,
}

/// A tenant.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// name of the tenant.
    pub name: String,
    /// phase of the tenant.
    pub phase: TenantPhase,
    /// hash over the tenant's resolved fields, from its first attempt on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// generation is metadata.generation when they were resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// prepared is the value of the tenant column whose users were laid out for scoring, hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<String>,
    /// attempt is the highest number of an attempt at one of the tenant's tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// jobUID is the UID of that attempt's Job.
    #[serde(rename = "jobUID", default, skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// outcome in CamelCase: Published, AwaitingApproval, Held, Superseded, or why the tenant failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// scoreHash names the lists among those of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_hash: Option<String>,
    /// users that have lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    /// uri of the lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// publishedAt is when they became visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub published_at: Option<jiff::Timestamp>,
    /// rolledBackTo is the run that a rollback of this job's request led the tenant to, away from this job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
    /// message says why the tenant hasn't succeeded, in at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where a tenant is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantPhase {
    /// Not begun.
    #[default]
    Pending,
    /// Its users are being laid out.
    Preparing,
    /// Its users are being scored.
    Scoring,
    /// Its lists are whole, and wait to be published.
    Scored,
    /// Its output points to this run.
    Published,
    /// Its lists are whole, and something stands in the way: a hold, a newer run.
    NotPublished,
    /// It failed.
    Failed,
}

impl TenantPhase {
    /// Whether the tenant's lists are whole.
    pub fn is_scored(self) -> bool {
        matches!(self, TenantPhase::Scored | TenantPhase::Published | TenantPhase::NotPublished)
    }
}

/// The answer to a request.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishRequestStatus {
    /// id of the request.
    pub id: String,
    /// tenant that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// outcome of the request in CamelCase, once it is known: RolledBack, Released, Published, Refused, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// message says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl PublishRequestStatus {
    /// Whether this answers the request with that id, and not only says that it is being worked on.
    pub fn answers(&self, id: &str) -> bool {
        self.id == id && self.outcome.is_some()
    }
}
