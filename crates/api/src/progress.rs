//! What a running worker answers to `GET /progress`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::TaskKind;

/// How far a task has come. An older worker may leave out what a newer reader knows, and the other way round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The task.
    pub task: TaskKind,
    /// Epoch that is running, counting from 1; 0 before the first.
    #[serde(default)]
    pub epoch: u32,
    /// Epochs at most.
    #[serde(default)]
    pub epochs: u32,
    /// Steps done in this epoch.
    #[serde(default)]
    pub step: u64,
    /// Steps of an epoch.
    #[serde(default)]
    pub steps: u64,
    /// Share of the task's work that is done, 0 to 100; before the first step of training, of the items that are read.
    #[serde(default)]
    pub percent: f64,
    /// Users trained on or scored per second.
    #[serde(default)]
    pub users_per_second: f64,
    /// Mean loss per user over this epoch so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Newest validation metrics.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// The epochs that are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EpochRecord>,
    /// Step over all epochs that this attempt started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_step: Option<u64>,
    /// How long this attempt has trained, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The newest checkpoint that is durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointProgress>,
    /// What people should know of this attempt beyond its progress: that it resumes, that a checkpoint is damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// What is being done now, in a few words.
    #[serde(default)]
    pub message: String,
}

impl Progress {
    /// Nothing done yet.
    pub fn new(task: TaskKind) -> Self {
        Progress {
            task,
            epoch: 0,
            epochs: 0,
            step: 0,
            steps: 0,
            percent: 0.0,
            users_per_second: 0.0,
            loss: None,
            metrics: BTreeMap::new(),
            history: Vec::new(),
            first_step: None,
            seconds: None,
            checkpoint: None,
            notices: Vec::new(),
            message: "starting".into(),
        }
    }

    /// Steps done over all epochs.
    pub fn global_step(&self) -> u64 {
        u64::from(self.epoch.saturating_sub(1)) * self.steps + self.step
    }
}

/// A checkpoint that is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointProgress {
    /// Step over all epochs.
    pub step: u64,
    /// When it was committed, in milliseconds since 1970.
    pub time: i64,
    /// Where its files are.
    pub uri: String,
}

/// What an epoch came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochRecord {
    /// The epoch, counting from 1.
    pub epoch: u32,
    /// Mean negative log-likelihood per user.
    pub negative_log_likelihood: f64,
    /// Mean Kullback-Leibler divergence per user, unweighted.
    pub divergence: f64,
    /// Weight of the divergence in the loss, in the epoch's end. 0 in records of earlier releases.
    #[serde(default)]
    pub divergence_weight: f64,
    /// Learning rate in the epoch's end. 0 in records of earlier releases.
    #[serde(default)]
    pub learning_rate: f64,
    /// Validation metrics by name.
    pub validation: BTreeMap<String, f64>,
    /// Mean over the items of their shares of the facets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facet_shares: Vec<f64>,
}
