//! The parameters of a run's best epoch.

use bytes::Bytes;
use teasel_storage::StorageError;
use teasel_storage::checkpoint::{self, Loaded};
use teasel_storage::run_log::RunLog;

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
/// one with the same best epoch does; where none is left, the one before is used. Both are said.
pub(super) async fn best_model(log: &RunLog) -> Result<BestModel, TaskError> {
    let best = log.state().best().ok_or_else(|| TaskError::bug("a trained run without a best checkpoint"))?;
    // The newest checkpoint knows the whole history, the best one only up to its own step.
    let newest =
        checkpoint::load_newest(log).await?.ok_or_else(|| TaskError::bug("a trained run without a checkpoint"))?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use teasel_api::task::TaskKind;
    use teasel_storage::Store;
    use teasel_storage::run_log::{Checkpoint, Claim, Claimed, Event, Writer};
    use teasel_storage::testing::store_over;

    use super::*;

    async fn writer(storage: &Store) -> Writer {
        let claim = Claim {
            task: TaskKind::Train,
            attempt: 1,
            incarnation: "a".into(),
            generation: 0,
            nonce: "n".into(),
            world: 1,
            threads: 1,
            cpu: "AVX2".into(),
            build: "0".into(),
            subject: String::new(),
        };
        match RunLog::open(storage, "run").await.unwrap().claim(claim).await.unwrap() {
            Claimed::Writer(writer) => *writer,
            Claimed::AlreadyDone(outcome) => panic!("{outcome:?}"),
        }
    }

    /// Commits a checkpoint whose best epoch so far is `best`. Returns its entry and the path of the best parameters.
    async fn commit(writer: &mut Writer, step: u64, best: u32) -> (u64, String) {
        let mut position = Position { global_step: step, ..Position::default() };
        position.best.epoch = best;
        let state = serde_json::to_vec(&position).unwrap();
        let files = vec![
            (STATE_FILE.to_owned(), state.into()),
            (BEST_FILE.to_owned(), format!("parameters of epoch {best}").into()),
        ];
        let files = checkpoint::upload(writer.log().folder().clone(), writer.term(), step, files).await.unwrap();
        let path = files[1].name.clone();
        let event = Event::Checkpoint(Checkpoint { step, epoch: 0, files, metrics: Default::default() });
        (writer.append(event).await.unwrap(), path)
    }

    #[tokio::test]
    async fn a_damaged_best_checkpoint_is_replaced_by_one_with_the_same_best_epoch() {
        let storage = store_over(Arc::new(InMemory::new()));
        let mut writer = writer(&storage).await;
        commit(&mut writer, 10, 1).await;
        let (best, path) = commit(&mut writer, 20, 2).await;
        writer.append(Event::Best { entry: best }).await.unwrap();
        let (_, last) = commit(&mut writer, 30, 2).await;

        let whole = best_model(writer.log()).await.unwrap();
        assert_eq!(
            (whole.parameters, whole.notice, whole.position.global_step),
            ("parameters of epoch 2".into(), None, 30)
        );

        writer.log().folder().put(&path, "damaged".into()).await.unwrap();
        let other = best_model(writer.log()).await.unwrap();
        assert_eq!(other.parameters, "parameters of epoch 2");
        let notice = other.notice.unwrap();
        assert!(notice.contains("step 30") && notice.contains(&path), "{notice}");

        writer.log().folder().put(&last, "damaged".into()).await.unwrap();
        let before = best_model(writer.log()).await.unwrap();
        assert_eq!(before.parameters, "parameters of epoch 1");
        assert!(before.notice.is_some());
    }
}
