//! Reading and moving a tenant's pointer.

use super::{
    OutputEntry, OutputEvent, OutputState, PublishOutcome, PublishRequest, ReleaseOutcome, RollbackOutcome, Scores,
    current,
};
use crate::sequence::{Appended, Sequence};
use crate::{StorageError, Store};

/// A tenant's output log, as far as it has been read.
#[derive(Clone, Debug)]
pub struct OutputLog {
    output: Store,
    sequence: Sequence<OutputEntry>,
    state: OutputState,
    /// Entries at the time of opening.
    basis: u64,
}

impl OutputLog {
    /// Reads the log of a tenant's output place.
    ///
    /// To be opened when the task begins: a publish is judged by what had been published by then
    /// ([`OutputState::decide_publish`]).
    pub async fn open(output: &Store) -> Result<Self, StorageError> {
        let sequence = Sequence::open(output.sub("log")).await?;
        let state = OutputState::fold(sequence.entries());
        let basis = state.length();
        Ok(OutputLog { output: output.clone(), sequence, state, basis })
    }

    /// Reads what has been added since.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        self.sequence.refresh().await?;
        self.catch_up();
        Ok(())
    }

    /// All entries.
    pub fn entries(&self) -> &[OutputEntry] {
        self.sequence.entries()
    }

    /// What they say.
    pub fn state(&self) -> &OutputState {
        &self.state
    }

    /// The tenant's output place.
    pub fn output(&self) -> &Store {
        &self.output
    }

    /// Points to whole lists, if that is allowed, and brings `current.json` up to date in any case.
    pub async fn publish(&mut self, request: &PublishRequest) -> Result<PublishOutcome, StorageError> {
        self.refresh().await?;
        let outcome = loop {
            if let Some(refused) = self.state.decide_publish(request, self.basis) {
                break refused;
            }
            if Scores::new(&self.output, &request.version).manifest().await?.is_none() {
                break PublishOutcome::NotScored;
            }
            let (version, ownership) = (request.version.clone(), request.ownership.clone());
            if self.append(OutputEvent::Published { version, ownership }).await? {
                break PublishOutcome::Published;
            }
        };
        self.repair().await?;
        Ok(outcome)
    }

    /// Points to the lists of `run` again; with `hold`, no publish changes that until [`OutputLog::release`].
    pub async fn rollback(&mut self, run: &str, hold: bool) -> Result<RollbackOutcome, StorageError> {
        self.refresh().await?;
        let outcome = loop {
            let to = match self.state.decide_rollback(run, hold) {
                Ok(to) => to,
                Err(outcome) => break outcome,
            };
            if self.append(OutputEvent::RolledBack { to: to.clone(), hold }).await? {
                break RollbackOutcome::RolledBack(to);
            }
        };
        self.repair().await?;
        Ok(outcome)
    }

    /// Ends a hold. The pointer stays where it is.
    pub async fn release(&mut self) -> Result<ReleaseOutcome, StorageError> {
        self.refresh().await?;
        while self.state.is_held() {
            if self.append(OutputEvent::Released).await? {
                return Ok(ReleaseOutcome::Released);
            }
        }
        Ok(ReleaseOutcome::NotHeld)
    }

    /// Brings `current.json` up to date with the log.
    pub async fn repair(&mut self) -> Result<(), StorageError> {
        current::repair(self).await
    }

    /// Adds an entry right behind what has been read; `false` where others were first, and what they wrote is read.
    pub(super) async fn append(&mut self, event: OutputEvent) -> Result<bool, StorageError> {
        let entry = OutputEntry { nonce: crate::nonce(), time: crate::now_milliseconds(), event };
        let appended = self.sequence.append(entry).await;
        self.catch_up();
        Ok(matches!(appended?, Appended::At(_)))
    }

    fn catch_up(&mut self) {
        let known = usize::try_from(self.state.length()).unwrap_or(usize::MAX);
        let new = self.sequence.entries().get(known..).unwrap_or_default();
        new.iter().for_each(|entry| self.state.apply(entry));
    }
}
