//! The job as a whole.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataSpec, GateSpec, ModelSpec, RecommenderJobStatus, ScoringSpec, TrainingSpec};
use crate::location::Location;

/// Trains one recommender and publishes its recommendations for each tenant.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "teasel.dev",
    version = "v1alpha1",
    kind = "RecommenderJob",
    plural = "recommenderjobs",
    shortname = "recjob",
    category = "teasel",
    namespaced,
    status = "RecommenderJobStatus",
    derive = "PartialEq",
    doc = "Trains one recommender and publishes its recommendations for each tenant.",
    validation = Rule::new("self.metadata.name.size() <= 40").message("the name of a job has at most 40 characters"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.frozen) || !oldSelf.status.frozen.exists(f, f.stage == 'Data') || (self.spec.data == oldSelf.spec.data && self.spec.storage == oldSelf.spec.storage)")
        .message("data and storage can't be changed once work with them has begun: make a new job, which may start from this run's parameters with training.resumeFrom"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.frozen) || !oldSelf.status.frozen.exists(f, f.stage == 'Model') || (has(self.spec.model) == has(oldSelf.spec.model) && (!has(self.spec.model) || self.spec.model == oldSelf.spec.model) && has(self.spec.training) == has(oldSelf.spec.training) && (!has(self.spec.training) || self.spec.training == oldSelf.spec.training))")
        .message("model and training can't be changed once training has begun: make a new job, which may start from this run's parameters with training.resumeFrom"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.frozen) || !oldSelf.status.frozen.exists(f, f.stage == 'Gates') || (has(self.spec.gates) == has(oldSelf.spec.gates) && (!has(self.spec.gates) || self.spec.gates == oldSelf.spec.gates))")
        .message("gates can't be changed while they are being decided, or once they have been passed"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.workers.ready"),
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".status.progress.epoch"),
    printcolumn(name = "Progress", type_ = "integer", json_path = ".status.progress.percent", description = "Per cent of the training steps"),
    printcolumn(name = "Restarts", type_ = "integer", json_path = ".status.restarts.failures"),
    printcolumn(name = "Checkpoint", type_ = "date", json_path = ".status.checkpoint.time", description = "Age of the newest checkpoint"),
    printcolumn(name = "NDCG", type_ = "number", json_path = r#".status.metrics[?(@.name=="ndcg@100")].value"#, priority = 1),
    printcolumn(name = "Tenants", type_ = "integer", json_path = ".status.publishedTenants", description = "Tenants that are published", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RecommenderJobSpec {
    /// suspend stops the job after a checkpoint and frees everything that it holds; unsetting it goes on from there.
    /// Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// storage is where datasets, checkpoints, models and reports are kept.
    pub storage: Location,
    /// data says what to learn from.
    pub data: DataSpec,
    /// model says what to learn. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
    /// training says how to learn it. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingSpec>,
    /// gates say what a model must reach on the test users before anything is published. Unset means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub gates: Option<Vec<GateSpec>>,
    /// scoring says whom to recommend to.
    pub scoring: ScoringSpec,
    /// publish says when lists become visible. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishSpec>,
    /// activeDeadlineSeconds fails the job when it was active for longer; time in a queue or suspended doesn't count.
    /// Unset means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2147483647))]
    pub active_deadline_seconds: Option<i64>,
    /// ttlSecondsAfterFinished deletes the job, and with it everything it owns in the cluster, so long after it
    /// ended. Unset means that it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// history says what storage keeps of former runs of the same owner. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySpec>,
}

/// When lists become visible.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishSpec {
    /// mode is Automatic (each tenant as soon as its lists are whole) or Manual (when somebody approves). Defaults
    /// to Automatic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PublishMode>,
    /// approved publishes a job whose mode is Manual. Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<bool>,
}

/// Who decides to publish.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PublishMode {
    Automatic,
    Manual,
}

/// What storage keeps of former runs of the same owner. What is unfinished, published or held always stays.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// runs is how many runs are kept. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub runs: Option<u32>,
    /// days is for how many days a run is kept. Defaults to 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub days: Option<u32>,
}
