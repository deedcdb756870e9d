//! Checkpoints in the background of training.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use teasel_api::progress::CheckpointProgress;
use teasel_storage::checkpoint;
use teasel_storage::run_log::{Checkpoint, Event, LogError, Writer};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::position::Position;
use super::{BEST_FILE, MODEL_FILE, OPTIMIZER_FILE, STATE_FILE, TUNING_FILE};
use crate::error::TaskError;
use crate::signals::StopRequest;

/// How long after a stop the last checkpoint is waited for: the pod's grace time (two minutes) but for the step that runs
/// when the stop is asked for, and the end of the processes.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(80);

/// How often the log is asked whether the run is still this attempt's.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(10);

/// All that a checkpoint holds, copied out of training.
pub(super) struct Snapshot {
    pub(super) position: Position,
    pub(super) model: Bytes,
    pub(super) optimizer: Bytes,
    /// Parameters of the best epoch so far.
    pub(super) best: Option<Bytes>,
    /// What is adapted of encoders.
    pub(super) tuning: Option<Bytes>,
}

/// Rank 0's checkpoints: one at a time, written while training goes on.
pub(super) struct Checkpointer {
    runtime: Handle,
    keep: usize,
    interval: Duration,
    last_begun: Instant,
    last_confirmed: Instant,
    state: State,
    /// Epoch that this writer's newest Best entry stands for. 0 at first, also after a resume: a former writer may have
    /// died between a checkpoint and its Best.
    best_epoch: u32,
    /// Step of the checkpoint that this attempt started from.
    restored_step: Option<u64>,
    /// The newest that this writer committed, known as soon as it is, whatever becomes of the work behind it.
    committed: watch::Sender<Option<CheckpointProgress>>,
}

enum State {
    Idle(Box<Writer>),
    /// The writer writes, or asks whether the run is still its own.
    Busy(JoinHandle<Result<Box<Writer>, TaskError>>),
    /// The writer went down with an error that has been returned.
    Gone,
}

impl State {
    /// The writer, once it is idle.
    async fn writer(self) -> Result<Box<Writer>, TaskError> {
        match self {
            State::Idle(writer) => Ok(writer),
            State::Busy(task) => {
                task.await.map_err(|error| TaskError::bug(format!("the checkpoint's writer: {error}")))?
            }
            State::Gone => Err(TaskError::bug("a checkpoint after one that failed")),
        }
    }
}

impl Checkpointer {
    pub(super) fn new(runtime: Handle, writer: Writer, keep: u32, interval: Duration, restored: &Position) -> Self {
        Checkpointer {
            runtime,
            keep: keep as usize,
            interval,
            last_begun: Instant::now(),
            last_confirmed: Instant::now(),
            state: State::Idle(Box::new(writer)),
            best_epoch: 0,
            restored_step: (restored.global_step > 0).then_some(restored.global_step),
            committed: watch::Sender::new(None),
        }
    }

    /// Whether it is time for the next one. An error of the one before shows here, and that a newer attempt owns the run.
    pub(super) fn is_due(&mut self) -> Result<bool, TaskError> {
        if matches!(&self.state, State::Busy(task) if task.is_finished()) {
            let state = std::mem::replace(&mut self.state, State::Gone);
            self.state = State::Idle(self.runtime.block_on(state.writer())?);
        }
        if !matches!(self.state, State::Idle(_)) {
            return Ok(false);
        }
        if self.last_begun.elapsed() >= self.interval {
            return Ok(true);
        }
        if self.last_confirmed.elapsed() >= CONFIRM_INTERVAL {
            self.last_confirmed = Instant::now();
            self.then(confirm);
        }
        Ok(false)
    }

    /// The last step that is durable.
    pub(super) fn durable_step(&self) -> Option<u64> {
        self.committed.borrow().as_ref().map(|committed| committed.step).or(self.restored_step)
    }

    /// The newest checkpoint that this attempt made durable.
    pub(super) fn newest(&self) -> Option<CheckpointProgress> {
        self.committed.borrow().clone()
    }

    /// Begins to write `snapshot`, after the one before.
    pub(super) fn begin(&mut self, snapshot: Snapshot) {
        (self.last_begun, self.last_confirmed) = (Instant::now(), Instant::now());
        let new_best = (snapshot.position.best.epoch > self.best_epoch && snapshot.best.is_some())
            .then_some(snapshot.position.best.epoch);
        self.best_epoch = new_best.unwrap_or(self.best_epoch);
        let (keep, committed) = (self.keep, self.committed.clone());
        self.then(move |writer| write(writer, snapshot, new_best.is_some(), keep, committed));
    }

    /// Writes `snapshot` and the end of training. A stop ends the wait for them after a while.
    pub(super) fn finish(mut self, snapshot: Snapshot, end: Event, stop: &StopRequest) -> Result<(), TaskError> {
        self.begin(snapshot);
        self.then(|mut writer| async move {
            writer.append(end).await?;
            Ok(writer)
        });
        let overdue = async {
            stop.made().await;
            tokio::time::sleep(STOP_PATIENCE).await;
        };
        match self.settle(overdue)? {
            true => Ok(()),
            false => Err(TaskError::Stopped { last_step: self.durable_step() }),
        }
    }

    /// Writes `snapshot`, unless that takes longer than `patience`, and returns the last step that is durable.
    pub(super) fn stop(mut self, snapshot: Snapshot, patience: Duration) -> Result<Option<u64>, TaskError> {
        self.begin(snapshot);
        // Made inside of the runtime, whose clock it needs.
        let overdue = async { tokio::time::sleep(patience).await };
        if !self.settle(overdue)? {
            tracing::warn!("stopping without a checkpoint of the last step: it took longer than {patience:?}");
        }
        Ok(self.durable_step())
    }

    /// Waits for all that was begun, until `overdue` is. Returns whether it was done.
    fn settle(&mut self, overdue: impl Future<Output = ()>) -> Result<bool, TaskError> {
        let state = std::mem::replace(&mut self.state, State::Gone);
        self.runtime.block_on(async {
            tokio::select! {
                writer = state.writer() => writer.map(|_| true),
                () = overdue => Ok(false),
            }
        })
    }

    /// Gives the writer to `work`, after what it does now.
    fn then<F>(&mut self, work: impl FnOnce(Box<Writer>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Box<Writer>, TaskError>> + Send + 'static,
    {
        let before = std::mem::replace(&mut self.state, State::Gone);
        self.state = State::Busy(self.runtime.spawn(async move { work(before.writer().await?).await }));
    }
}

/// Finds out whether a newer attempt owns the run. A store that is out of reach doesn't end training that needs nothing
/// of it yet.
async fn confirm(mut writer: Box<Writer>) -> Result<Box<Writer>, TaskError> {
    match writer.confirm().await {
        Ok(()) => {}
        Err(error @ LogError::Fenced { .. }) => return Err(error.into()),
        Err(error) => tracing::warn!("can't see whether the run is still this attempt's: {error}"),
    }
    Ok(writer)
}

async fn write(
    mut writer: Box<Writer>,
    snapshot: Snapshot,
    new_best: bool,
    keep: usize,
    committed: watch::Sender<Option<CheckpointProgress>>,
) -> Result<Box<Writer>, TaskError> {
    // Before the upload: what an attempt that is shut out uploads is for nothing.
    writer.confirm().await?;
    let Snapshot { position, model, optimizer, best, tuning } = snapshot;
    let state = serde_json::to_vec(&position).map_err(|error| TaskError::bug(error.to_string()))?;
    let step = position.global_step;
    let mut files = vec![
        (MODEL_FILE.to_owned(), model),
        (OPTIMIZER_FILE.to_owned(), optimizer),
        (STATE_FILE.to_owned(), state.into()),
    ];
    files.extend(best.map(|best| (BEST_FILE.to_owned(), best)));
    files.extend(tuning.map(|tuning| (TUNING_FILE.to_owned(), tuning)));
    let folder = writer.log().folder().clone();
    let files = checkpoint::upload(folder, writer.term(), step, files).await?;
    let uri = writer.log().folder().uri_of(files.first().map_or("", |file| folder_of(&file.name)));
    let metrics = position.history.last().map_or_else(BTreeMap::new, |record| record.validation.clone());
    let entry =
        writer.append(Event::Checkpoint(Checkpoint { step, epoch: position.epoch, files, metrics })).await?;
    committed.send_replace(Some(CheckpointProgress { step, time: teasel_storage::now_milliseconds(), uri }));
    if new_best {
        writer.append(Event::Best { entry }).await?;
    }
    match checkpoint::collect(&mut writer, keep).await {
        Ok(_) => {}
        Err(error @ LogError::Fenced { .. }) => return Err(error.into()),
        // The next collection finds what this one leaves.
        Err(error) => tracing::warn!("old checkpoints are left over: {error}"),
    }
    Ok(writer)
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(folder, _)| folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use teasel_api::outcome::{ExitCode, Outcome};
    use teasel_api::task::TaskKind;
    use teasel_storage::Store;
    use teasel_storage::run_log::{Claim, Claimed, RunLog};
    use teasel_storage::testing::{Fault, FaultyStore, Operation, Pause, store_over};
    use tokio::runtime::Runtime;

    use super::*;

    struct Fixture {
        runtime: Runtime,
        faulty: FaultyStore,
        storage: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let faulty = FaultyStore::new(Arc::new(InMemory::new()));
            let storage = store_over(Arc::new(faulty.clone()));
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            Fixture { runtime, faulty, storage }
        }

        fn own(&self, attempt: u32) -> Writer {
            let claim = Claim {
                task: TaskKind::Train,
                attempt,
                incarnation: attempt.to_string(),
                generation: 0,
                nonce: teasel_storage::nonce(),
                world: 1,
                threads: 1,
                cpu: String::new(),
                build: String::new(),
                subject: String::new(),
            };
            let log = self.runtime.block_on(RunLog::open(&self.storage, "run")).unwrap();
            match self.runtime.block_on(log.claim(claim)).unwrap() {
                Claimed::Writer(writer) => *writer,
                Claimed::AlreadyDone(outcome) => panic!("{outcome:?}"),
            }
        }

        fn checkpointer(&self, interval: Duration) -> Checkpointer {
            let restored = Position { global_step: 5, ..Position::default() };
            Checkpointer::new(self.runtime.handle().clone(), self.own(1), 1, interval, &restored)
        }

        fn checkpoint_files(&self) -> usize {
            self.runtime.block_on(self.storage.list("runs/run/checkpoints")).unwrap().len()
        }
    }

    fn snapshot(step: u64) -> Snapshot {
        let position = Position { global_step: step, ..Position::default() };
        Snapshot { position, model: "model".into(), optimizer: "optimizer".into(), best: None, tuning: None }
    }

    /// Waits as training does, step by step.
    fn until_idle(checkpointer: &mut Checkpointer) -> Result<(), TaskError> {
        loop {
            checkpointer.is_due()?;
            if matches!(checkpointer.state, State::Idle(_)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_clean_up_that_fails_does_not_end_training() {
        let fixture = Fixture::new();
        let mut checkpointer = fixture.checkpointer(Duration::MAX);
        assert_eq!(checkpointer.durable_step(), Some(5));
        checkpointer.begin(snapshot(10));
        until_idle(&mut checkpointer).unwrap();
        fixture.faulty.inject(Operation::Delete, "checkpoints/", Fault::ServerError);
        checkpointer.begin(snapshot(20));
        until_idle(&mut checkpointer).unwrap();
        assert_eq!((fixture.faulty.pending(), checkpointer.durable_step()), (0, Some(20)));
        assert_eq!(fixture.checkpoint_files(), 6);
        checkpointer.begin(snapshot(30));
        until_idle(&mut checkpointer).unwrap();
        assert_eq!(fixture.checkpoint_files(), 3, "the next collection deletes the rest");
    }

    #[test]
    fn a_stop_waits_for_the_last_checkpoint_and_not_for_ever() {
        let fixture = Fixture::new();
        let mut checkpointer = fixture.checkpointer(Duration::MAX);
        checkpointer.begin(snapshot(10));
        assert_eq!(checkpointer.stop(snapshot(20), Duration::from_secs(60)).unwrap(), Some(20));

        let fixture = Fixture::new();
        let checkpointer = fixture.checkpointer(Duration::MAX);
        fixture.faulty.inject(Operation::Put, MODEL_FILE, Fault::Pause(Pause::new()));
        assert_eq!(checkpointer.stop(snapshot(20), Duration::from_millis(50)).unwrap(), Some(5));
    }

    #[test]
    fn the_end_of_training_is_logged_after_its_checkpoint() {
        let fixture = Fixture::new();
        let checkpointer = fixture.checkpointer(Duration::MAX);
        let outcome = Outcome::new(TaskKind::Train, 1, ExitCode::Done, "Trained", "");
        checkpointer.finish(snapshot(20), Event::Trained { outcome }, &StopRequest::default()).unwrap();
        let log = fixture.runtime.block_on(RunLog::open(&fixture.storage, "run")).unwrap();
        assert_eq!(log.state().checkpoints().map(|(_, found)| found.step).collect::<Vec<_>>(), [20]);
        assert!(log.state().outcome_of(TaskKind::Train, "").is_some());
    }

    #[test]
    fn an_attempt_that_is_shut_out_uploads_nothing_more() {
        let fixture = Fixture::new();
        let mut checkpointer = fixture.checkpointer(Duration::MAX);
        fixture.own(2);
        checkpointer.begin(snapshot(10));
        assert_eq!(until_idle(&mut checkpointer).unwrap_err().exit_code(), ExitCode::FencedOut);
        assert_eq!(fixture.checkpoint_files(), 0);
    }

    #[test]
    fn an_attempt_that_is_shut_out_ends_between_checkpoints() {
        let fixture = Fixture::new();
        let mut checkpointer = fixture.checkpointer(Duration::MAX);
        let confirm_now = |checkpointer: &mut Checkpointer| {
            checkpointer.last_confirmed = Instant::now().checked_sub(CONFIRM_INTERVAL).unwrap();
            until_idle(checkpointer)
        };
        confirm_now(&mut checkpointer).unwrap();
        fixture.faulty.inject(Operation::Get, "runs/run/log", Fault::ServerError);
        confirm_now(&mut checkpointer).unwrap();
        assert_eq!(fixture.faulty.pending(), 0, "a store that is gone for a while ends nothing");
        fixture.own(2);
        assert_eq!(confirm_now(&mut checkpointer).unwrap_err().exit_code(), ExitCode::FencedOut);
    }
}
