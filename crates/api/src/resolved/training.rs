//! How to learn, and what the result must reach.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Data-parallel training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Training {
    /// Pods, or local agents: 1 to 1000.
    pub workers: u32,
    /// Ranks of each.
    pub processes_per_worker: u32,
    /// What training computes on.
    pub device: Device,
    /// Passes over the training users; unset means by the data's size ([`crate::resolved::schedule_for`]).
    pub epochs: Option<u32>,
    /// Users per step over all ranks; unset means by the data's size.
    pub batch_size: Option<u32>,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Seed of parameters, order, dropout and noise.
    pub seed: u64,
    /// When to stop early; `patience` unset means by the data's size.
    pub early_stopping: EarlyStopping,
    /// How often to checkpoint.
    pub checkpoint: Checkpoint,
    /// Run whose newest checkpoint to start from.
    pub resume_from: Option<String>,
    /// How long an attempt may wait for its pods.
    pub scheduling_timeout_seconds: u64,
    /// How often to try again.
    pub failure_policy: FailurePolicy,
}

/// How long an attempt may wait for its pods where the spec doesn't say.
pub const DEFAULT_SCHEDULING_TIMEOUT_SECONDS: u64 = 600;

/// What training computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Device {
    Cpu,
    Cuda,
}

/// When to stop before the last epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validation metric, such as `ndcg@100`. The best epoch by it is the run's model.
    pub metric: String,
    /// Epochs without a better value; unset means by the data's size.
    pub patience: Option<u32>,
}

/// How often to checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Seconds between two checkpoints.
    pub interval_seconds: u64,
    /// How many of the newest are kept, beside the best one.
    pub keep: u32,
}

/// How often to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailurePolicy {
    /// Failures before the job fails.
    pub max_failures: u32,
    /// Ends by lack of memory before the job fails.
    pub max_out_of_memory: u32,
}

/// The part of the training schedule that follows the data's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Passes over the training users.
    pub epochs: u32,
    /// Users per step over all ranks.
    pub batch_size: u32,
    /// Epochs without a better validation metric before training stops.
    pub patience: u32,
}

/// Fills in what the spec leaves to the data's size.
///
/// A batch is an eighth of the users, between 20 and 500. Small data needs many passes and large data few: epochs
/// aim at 20,000 steps, between 20 and 200. Patience is a fifth of the epochs, at least 5.
pub fn schedule_for(training: &Training, training_users: u64) -> Schedule {
    let batch_size = training.batch_size.unwrap_or_else(|| (training_users / 8).clamp(20, 500) as u32).max(1);
    let steps = training_users.div_ceil(u64::from(batch_size)).max(1);
    let epochs = training.epochs.unwrap_or_else(|| (20_000 / steps).clamp(20, 200) as u32);
    let patience = training.early_stopping.patience.unwrap_or((epochs / 5).max(5));
    Schedule { epochs, batch_size, patience }
}
