//! Reading and writing a run's log.

use teasel_api::outcome::{ExitCode, Outcome};

use super::{AppendDecision, Claim, ClaimDecision, Entry, Event, RunState};
use crate::manifest::RETIRED;
use crate::sequence::{Appended, Sequence};
use crate::{RunRecord, StorageError, Store};

/// Why a log can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A newer attempt owns the run.
    #[error("{uri} belongs to attempt {}, started by {}", by.attempt, by.incarnation)]
    Fenced {
        /// The run.
        uri: String,
        /// The owner's claim.
        by: Box<Claim>,
    },
    /// The run is being collected, or was.
    #[error("{uri} is collected as one of its owner's former runs")]
    Collected {
        /// The run.
        uri: String,
    },
    /// A bug: the entry makes no sense in this log.
    #[error("an entry of {uri} is refused: {reason}")]
    Misplaced {
        /// The run.
        uri: String,
        /// Why.
        reason: &'static str,
    },
}

impl LogError {
    /// How a worker ends that meets this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            LogError::Storage(error) => error.exit_code(),
            LogError::Fenced { .. } => ExitCode::FencedOut,
            // Should the collector find that it came too late, the run is whole again.
            LogError::Collected { .. } => ExitCode::TryAgain,
            LogError::Misplaced { .. } => ExitCode::Bug,
        }
    }
}

/// A run's log, as far as it has been read.
#[derive(Clone, Debug)]
pub struct RunLog {
    folder: Store,
    sequence: Sequence<Entry>,
    state: RunState,
}

/// What a claim gave.
#[derive(Debug)]
pub enum Claimed {
    /// The run is the claimant's.
    Writer(Box<Writer>),
    /// The task has ended already, with this outcome.
    AlreadyDone(Box<Outcome>),
}

impl RunLog {
    /// Reads the log of `run` in the job's storage; a run that doesn't exist has an empty one.
    pub async fn open(storage: &Store, run: &str) -> Result<Self, StorageError> {
        let folder = storage.sub(&RunRecord::folder(run));
        let sequence = Sequence::open(folder.sub("log")).await?;
        let state = RunState::fold(sequence.entries());
        Ok(RunLog { folder, sequence, state })
    }

    /// Reads what has been added since.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        self.sequence.refresh().await?;
        self.catch_up();
        Ok(())
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        self.sequence.entries()
    }

    /// What they say.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The run's folder: names of a checkpoint's files are relative to it.
    pub fn folder(&self) -> &Store {
        &self.folder
    }

    /// Takes the run over.
    ///
    /// # Errors
    /// [`LogError::Fenced`] where the run belongs to a newer attempt, or to another life of this one.
    /// [`LogError::Collected`].
    pub async fn claim(self, claim: Claim) -> Result<Claimed, LogError> {
        let folder = self.folder.clone();
        let claimed = self.claim_even_retired(claim).await?;
        // Looked for after the claim: a collector writes it before its own claim, so one of the two sees the other.
        match folder.head(RETIRED).await? {
            Some(_) => Err(LogError::Collected { uri: folder.uri() }),
            None => Ok(claimed),
        }
    }

    /// Takes the run over, for its collector.
    pub(crate) async fn claim_even_retired(mut self, claim: Claim) -> Result<Claimed, LogError> {
        loop {
            match self.state.decide_claim(&claim) {
                ClaimDecision::AlreadyDone(outcome) => return Ok(Claimed::AlreadyDone(Box::new(outcome))),
                ClaimDecision::Fenced(by) => return Err(self.fenced(by)),
                ClaimDecision::Owned(term) => return Ok(Claimed::Writer(Box::new(Writer { log: self, term }))),
                ClaimDecision::Claim => {}
            }
            if let Appended::At(term) = self.append(None, Event::Claimed(claim.clone())).await? {
                return Ok(Claimed::Writer(Box::new(Writer { log: self, term })));
            }
        }
    }

    async fn append(&mut self, term: Option<u64>, event: Event) -> Result<Appended, StorageError> {
        let entry = Entry { term, nonce: crate::nonce(), time: crate::now_milliseconds(), event };
        let appended = self.sequence.append(entry).await;
        self.catch_up();
        appended
    }

    fn catch_up(&mut self) {
        let known = usize::try_from(self.state.length()).unwrap_or(usize::MAX);
        let new = self.sequence.entries().get(known..).unwrap_or_default();
        new.iter().for_each(|entry| self.state.apply(entry));
    }

    fn fenced(&self, by: Claim) -> LogError {
        LogError::Fenced { uri: self.folder.uri(), by: Box::new(by) }
    }
}

/// The log in the hands of its owner.
#[derive(Debug)]
pub struct Writer {
    log: RunLog,
    term: u64,
}

impl Writer {
    /// The owner's term: the index of its claim.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The log.
    pub fn log(&self) -> &RunLog {
        &self.log
    }

    /// Reads what has been added since.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        self.log.refresh().await
    }

    /// Reads what has been added since, and checks that the run is still this writer's: before work that would be for
    /// nothing otherwise. Costs one request where nothing has been added.
    ///
    /// # Errors
    /// [`LogError::Fenced`].
    pub async fn confirm(&mut self) -> Result<(), LogError> {
        self.refresh().await?;
        match self.log.state.successor_of(self.term) {
            Some(other) => Err(self.log.fenced(other.clone())),
            None => Ok(()),
        }
    }

    /// Adds an entry and returns its index.
    ///
    /// # Errors
    /// [`LogError::Fenced`] where a newer attempt has claimed the run since. After [`LogError::Storage`] the entry may
    /// or may not be there; appending another one finds out and stays correct.
    pub async fn append(&mut self, event: Event) -> Result<u64, LogError> {
        loop {
            match self.log.state.decide_append(self.term, &event) {
                AppendDecision::Append => {}
                AppendDecision::Fenced(by) => return Err(self.log.fenced(by)),
                AppendDecision::Misplaced(reason) => {
                    return Err(LogError::Misplaced { uri: self.log.folder.uri(), reason });
                }
            }
            if let Appended::At(index) = self.log.append(Some(self.term), event.clone()).await? {
                return Ok(index);
            }
        }
    }
}
