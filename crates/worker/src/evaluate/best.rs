//! The parameters of a run's best epoch.

use bytes::Bytes;
use teasel_storage::checkpoint::{self, Loaded};
use teasel_storage::run_log::RunLog;
use teasel_storage::{StorageError, checkpoint::load_newest};

use crate::error::TaskError;
use crate::train::{BEST_FILE, Position, STATE_FILE};

/// What training came to.
pub(super) struct BestModel {
    /// Where training ended.
    pub(super) position: Position,
    /// Parameters of the best epoch.
    pub(super) parameters: Bytes,
    /// What people should know: that a checkpoint is damaged and another one holds the same.
    pub(super) notice: Option<String>,
}

/// Reads the end of training and the parameters of its best epoch.
///
/// Every checkpoint holds the best parameters so far, so where the one that the log calls the best is damaged, another
/// one with the same best epoch does.
pub(super) async fn best_model(log: &RunLog) -> Result<BestModel, TaskError> {
    let best = log.state().best().ok_or_else(|| TaskError::bug("a trained run without a best checkpoint"))?;
    // The newest checkpoint knows the whole history, the best one only up to its own step.
    let newest = load_newest(log).await?.ok_or_else(|| TaskError::bug("a trained run without a checkpoint"))?;
    let position = position_of(&newest)?;
    let mut damage: Option<StorageError> = None;
    let others = log.state().checkpoints().rev().map(|(entry, _)| entry).filter(|entry| *entry != best);
    for entry in std::iter::once(best).chain(others) {
        let mut loaded = match checkpoint::load(log, entry).await {
            Ok(loaded) => loaded,
            Err(error @ (StorageError::Corrupt { .. } | StorageError::NotFound { .. })) => {
                damage.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let is_of_best_epoch = position_of(&loaded)?.best.epoch == position.best.epoch;
        if let Some(parameters) = loaded.files.remove(BEST_FILE).filter(|_| is_of_best_epoch) {
            let step = loaded.checkpoint.step;
            let told = |damage: StorageError| {
                format!("the best model is read from the checkpoint of step {step}, since {damage}")
            };
            return Ok(BestModel { position, parameters, notice: damage.map(told) });
        }
    }
    Err(damage.map_or_else(|| TaskError::bug("no checkpoint holds the best epoch"), TaskError::from))
}

fn position_of(loaded: &Loaded) -> Result<Position, TaskError> {
    let state = loaded.files.get(STATE_FILE).cloned().unwrap_or_default();
    serde_json::from_slice(&state).map_err(|error| TaskError::bug(format!("{STATE_FILE}: {error}")))
}
