//! Checkpoints in the background of training.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use teasel_api::progress::CheckpointProgress;
use teasel_storage::checkpoint;
use teasel_storage::run_log::{Checkpoint, Event, Writer};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::position::Position;
use super::{BEST_FILE, MODEL_FILE, OPTIMIZER_FILE, STATE_FILE};
use crate::error::TaskError;

/// All that a checkpoint holds, copied out of training.
pub(super) struct Snapshot {
    pub(super) position: Position,
    pub(super) model: Bytes,
    pub(super) optimizer: Bytes,
    /// Parameters of the best epoch so far.
    pub(super) best: Option<Bytes>,
}

/// Rank 0's checkpoints: one at a time, written while training goes on.
pub(super) struct Checkpointer {
    runtime: Handle,
    keep: usize,
    interval: Duration,
    last_begun: Instant,
    state: State,
    /// Epoch that this writer's newest Best entry stands for. 0 at first, also after a resume: a former writer may have
    /// died between a checkpoint and its Best.
    best_epoch: u32,
    durable_step: Option<u64>,
    /// The newest that this writer committed.
    newest: Option<CheckpointProgress>,
}

enum State {
    Idle(Box<Writer>),
    Writing(JoinHandle<Result<(Box<Writer>, CheckpointProgress), TaskError>>),
    /// The writer went down with an error that has been returned.
    Gone,
}

impl Checkpointer {
    pub(super) fn new(runtime: Handle, writer: Writer, keep: u32, interval: Duration, restored: &Position) -> Self {
        let durable_step = (restored.global_step > 0).then_some(restored.global_step);
        Checkpointer {
            runtime,
            keep: keep as usize,
            interval,
            last_begun: Instant::now(),
            state: State::Idle(Box::new(writer)),
            best_epoch: 0,
            durable_step,
            newest: None,
        }
    }

    /// Whether it is time for the next one. An error of the one before shows here.
    pub(super) fn is_due(&mut self) -> Result<bool, TaskError> {
        if matches!(&self.state, State::Writing(task) if task.is_finished()) {
            let writer = self.settle()?;
            self.state = State::Idle(writer);
        }
        Ok(matches!(self.state, State::Idle(_)) && self.last_begun.elapsed() >= self.interval)
    }

    /// The last step that is durable.
    pub(super) fn durable_step(&self) -> Option<u64> {
        self.durable_step
    }

    /// The newest checkpoint that this attempt made durable.
    pub(super) fn newest(&self) -> Option<CheckpointProgress> {
        self.newest.clone()
    }

    /// Begins to write `snapshot`, after the one before.
    pub(super) fn begin(&mut self, snapshot: Snapshot) -> Result<(), TaskError> {
        let writer = self.settle()?;
        self.last_begun = Instant::now();
        let new_best = (snapshot.position.best.epoch > self.best_epoch && snapshot.best.is_some())
            .then_some(snapshot.position.best.epoch);
        self.best_epoch = new_best.unwrap_or(self.best_epoch);
        self.state = State::Writing(self.runtime.spawn(write(writer, snapshot, new_best.is_some(), self.keep)));
        Ok(())
    }

    /// Writes `snapshot` to the end and returns the log's writer.
    pub(super) fn finish(mut self, snapshot: Snapshot) -> Result<Writer, TaskError> {
        self.begin(snapshot)?;
        self.settle().map(|writer| *writer)
    }

    /// Writes `snapshot` to the end.
    pub(super) fn complete(&mut self, snapshot: Snapshot) -> Result<(), TaskError> {
        self.begin(snapshot)?;
        let writer = self.settle()?;
        self.state = State::Idle(writer);
        Ok(())
    }

    /// Waits for what is being written. Leaves the state without a writer: the caller puts one back.
    fn settle(&mut self) -> Result<Box<Writer>, TaskError> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(writer) => Ok(writer),
            State::Writing(task) => {
                let (writer, committed) = self
                    .runtime
                    .block_on(task)
                    .map_err(|error| TaskError::bug(format!("the checkpoint's writer: {error}")))??;
                self.durable_step = Some(committed.step);
                self.newest = Some(committed);
                Ok(writer)
            }
            State::Gone => Err(TaskError::bug("a checkpoint after one that failed")),
        }
    }
}

async fn write(
    mut writer: Box<Writer>,
    snapshot: Snapshot,
    new_best: bool,
    keep: usize,
) -> Result<(Box<Writer>, CheckpointProgress), TaskError> {
    let Snapshot { position, model, optimizer, best } = snapshot;
    let state = serde_json::to_vec(&position).map_err(|error| TaskError::bug(error.to_string()))?;
    let step = position.global_step;
    let mut files = vec![
        (MODEL_FILE.to_owned(), model),
        (OPTIMIZER_FILE.to_owned(), optimizer),
        (STATE_FILE.to_owned(), state.into()),
    ];
    files.extend(best.map(|best| (BEST_FILE.to_owned(), best)));
    let folder = writer.log().folder().clone();
    let files = checkpoint::upload(folder, writer.term(), step, files).await?;
    let uri = writer.log().folder().uri_of(files.first().map_or("", |file| folder_of(&file.name)));
    let metrics = position.history.last().map_or_else(BTreeMap::new, |record| record.validation.clone());
    let entry =
        writer.append(Event::Checkpoint(Checkpoint { step, epoch: position.epoch, files, metrics })).await?;
    if new_best {
        writer.append(Event::Best { entry }).await?;
    }
    checkpoint::collect(&mut writer, keep).await?;
    Ok((writer, CheckpointProgress { step, time: teasel_storage::now_milliseconds(), uri }))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(folder, _)| folder)
}
