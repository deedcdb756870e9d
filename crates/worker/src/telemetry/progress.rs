//! How far a task has come.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use teasel_api::task::TaskKind;

use crate::train::EpochRecord;

/// How far a task has come, as `GET /progress` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// The task.
    pub task: TaskKind,
    /// Epoch that is running, counting from 1; 0 before the first.
    pub epoch: u32,
    /// Epochs at most.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u64,
    /// Steps of an epoch.
    pub steps: u64,
    /// Share of the task's work that is done, 0 to 100.
    pub percent: f64,
    /// Users trained on or scored per second.
    pub users_per_second: f64,
    /// Mean loss per user over this epoch so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Newest validation metrics.
    pub metrics: BTreeMap<String, f64>,
    /// The epochs that are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EpochRecord>,
    /// What people should know of this attempt beyond its progress: that it resumes, that a checkpoint is damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// What is being done now, in a few words.
    pub message: String,
}

impl Progress {
    /// Nothing done yet.
    pub(crate) fn new(task: TaskKind) -> Self {
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
            notices: Vec::new(),
            message: "starting".into(),
        }
    }
}

/// A [`Progress`] that the task writes and the server reads.
#[derive(Clone, Debug)]
pub(crate) struct ProgressHandle(Arc<RwLock<Progress>>);

impl ProgressHandle {
    /// A handle on a task that has not begun.
    pub(crate) fn new(task: TaskKind) -> Self {
        ProgressHandle(Arc::new(RwLock::new(Progress::new(task))))
    }

    /// What is known now.
    pub(crate) fn get(&self) -> Progress {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is known.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Replaces all that is known.
    pub(crate) fn set(&self, progress: Progress) {
        self.update(|current| *current = progress);
    }
}
