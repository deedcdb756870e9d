//! How to learn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, PodTemplate};
use crate::resolved::Device;

/// Data-parallel training.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingSpec {
    /// workers is the number of pods (locally, of agents). Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub workers: Option<u32>,
    /// processesPerWorker is the number of ranks of each worker; with device Cuda each has a GPU of its own. Defaults
    /// to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub processes_per_worker: Option<u32>,
    /// device is what training computes on. Cuda needs a worker image with CUDA, and gives each pod processesPerWorker
    /// of nvidia.com/gpu. Evaluation and scoring always run on CPUs. Defaults to Cpu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// epochs is the largest number of passes over the training users. Unset means by the data's size, between 20
    /// and 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub epochs: Option<u32>,
    /// batchSize is the number of users of a step, over all ranks. Unset means by the data's size, between 20 and
    /// 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u32>,
    /// learningRate of Adam. Defaults to 0.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub learning_rate: Option<f64>,
    /// seed of parameters, order, dropout and noise. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// earlyStopping ends training when nothing gets better, and chooses the best epoch. Unset means all its
    /// defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingSpec>,
    /// checkpoint says how often to save. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointSpec>,
    /// resumeFrom starts from another run's newest checkpoint; the model's shape must be the same. Unset means from
    /// scratch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_from: Option<ResumeFrom>,
    /// schedulingTimeout is how long an attempt may wait until all its pods are scheduled; then it is given up, at
    /// no cost, and tried again. Defaults to 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling_timeout: Option<Duration>,
    /// failurePolicy says how many failures are too many. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<FailurePolicySpec>,
    /// template is the pod template of training. Unset means the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// When to stop before the last epoch.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EarlyStoppingSpec {
    /// metric on the validation users, ndcg@K, recall@K or map@K; the best epoch by it is the run's model. Defaults to
    /// ndcg@100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// patience is after how many epochs without a better value training stops. Unset means by the number of epochs:
    /// a fifth of them, at least 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub patience: Option<u32>,
}

/// How often to save.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointSpec {
    /// interval is the time between two checkpoints. Defaults to 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// keep is how many of the newest are kept, beside the best one. Defaults to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep: Option<u32>,
}

/// Names a run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeFrom {
    /// run is the name of the run.
    #[schemars(length(min = 1))]
    pub run: String,
}

/// How many failures are too many. Disruptions cost nothing while checkpoints advance.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailurePolicySpec {
    /// maxFailures is after how many failures no further attempt is made. Defaults to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u32>,
    /// maxOutOfMemory is the same for attempts that ran out of memory. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_out_of_memory: Option<u32>,
}
