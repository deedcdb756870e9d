//! Retraining by the clock.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::timestamp;
use super::{Condition, ObjectTemplateMetadata, PublishRequestStatus, RecommenderJobSpec};

/// Creates a RecommenderJob at every tick of a schedule, as a CronJob does with Jobs.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "teasel.dev",
    version = "v1alpha1",
    kind = "ScheduledRecommenderJob",
    plural = "scheduledrecommenderjobs",
    shortname = "srecjob",
    category = "teasel",
    namespaced,
    status = "ScheduledRecommenderJobStatus",
    derive = "PartialEq",
    doc = "Creates a RecommenderJob at every tick of a schedule, as a CronJob does with Jobs.",
    validation = Rule::new("self.metadata.name.size() <= 31").message("the name of a schedule has at most 31 characters"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Time Zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.active[*]"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastScheduleTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime"),
    printcolumn(name = "Published", type_ = "string", json_path = ".status.lastPublishedRun", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledRecommenderJobSpec {
    /// schedule is five fields (minute, hour, day of month, month, day of week), or @hourly, @daily, @weekly,
    /// @monthly or @yearly.
    #[schemars(length(min = 1, max = 100))]
    pub schedule: String,
    /// timeZone is the IANA name of the zone that the schedule is read in. Defaults to Etc/UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// concurrencyPolicy says what happens at a tick while the former job isn't finished; queued and suspended count
    /// as unfinished. Allow starts beside it. Forbid waits, and starts only the last of the ticks that it missed, no
    /// later than startingDeadlineSeconds. Replace deletes the former and starts once it is gone. Defaults to Forbid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// startingDeadlineSeconds is how late a missed tick may still start. Unset means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// suspend stops new ticks; jobs that run go on, and a retraining that is asked for (annotation
    /// teasel.dev/retrain-at) still starts. Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// successfulJobsHistoryLimit is how many succeeded jobs are kept. Defaults to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_jobs_history_limit: Option<u32>,
    /// failedJobsHistoryLimit is how many failed jobs are kept. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_jobs_history_limit: Option<u32>,
    /// jobTemplate is what each tick creates.
    pub job_template: JobTemplate,
}

/// What a tick creates.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobTemplate {
    /// metadata holds labels and annotations of each job. Unset means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ObjectTemplateMetadata>,
    /// spec is the job's spec.
    pub spec: RecommenderJobSpec,
}

/// What happens at a tick while the former job isn't finished.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ConcurrencyPolicy {
    Allow,
    Forbid,
    Replace,
}

/// What the operator knows of a schedule.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledRecommenderJobStatus {
    /// observedGeneration is the generation that this status was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// active names the jobs that aren't finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// lastScheduleTime is the last tick that was dealt with: the scheduled time of its job, not when that was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub last_schedule_time: Option<jiff::Timestamp>,
    /// lastRetrainTime is the minute of the newest annotation teasel.dev/retrain-at that was dealt with. Earlier ones
    /// are no requests any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub last_retrain_time: Option<jiff::Timestamp>,
    /// lastSuccessfulTime is when a job last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub last_successful_time: Option<jiff::Timestamp>,
    /// nextScheduleTime is the next tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub next_schedule_time: Option<jiff::Timestamp>,
    /// lastPublishedRun is the newest published run that no rollback has left: what relative gates compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_published_run: Option<String>,
    /// lastPublishedScheduleTime is the tick of lastPublishedRun: its job may be gone, and older ones still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub last_published_schedule_time: Option<jiff::Timestamp>,
    /// publishRequest answers the newest request to publish, roll back or release: one of the schedule's jobs carries
    /// it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_request: Option<PublishRequestStatus>,
    /// conditions of the schedule: Valid, and RetrainReadable where it isn't.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
