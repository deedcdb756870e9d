//! The progress that a task writes and the server reads.

use std::sync::{Arc, PoisonError, RwLock};

use teasel_api::progress::Progress;
use teasel_api::task::TaskKind;

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
