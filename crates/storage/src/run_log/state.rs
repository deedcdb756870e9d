//! What a run's log says, and what may be added to it: pure, so that every order of events can be tested.

use std::collections::{BTreeMap, BTreeSet};

use teasel_api::outcome::Outcome;
use teasel_api::task::TaskKind;

use super::{Checkpoint, Claim, Entry, Event};
use crate::manifest::File;

/// A log, read from its first entry to its last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    length: u64,
    claims: Vec<(u64, Claim)>,
    checkpoints: BTreeMap<u64, Checkpoint>,
    retired: BTreeSet<u64>,
    best: Option<u64>,
    ends: Vec<(TaskKind, String, Outcome)>,
    report: Vec<File>,
}

/// What a claimant is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimDecision {
    /// It may write its `Claimed` as the next entry.
    Claim,
    /// Its `Claimed` stands already, as this entry: the answer to an earlier write was lost.
    Owned(u64),
    /// Its task has ended already.
    AlreadyDone(Outcome),
    /// This claim shuts it out.
    Fenced(Claim),
}

/// What a writer is told.
#[derive(Clone, Debug, PartialEq)]
pub enum AppendDecision {
    /// It may write the event as the next entry.
    Append,
    /// This claim shuts it out.
    Fenced(Claim),
    /// The event makes no sense here, for this reason: a bug of the writer.
    Misplaced(&'static str),
}

impl RunState {
    /// The state after all of `entries`.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = RunState::default();
        entries.into_iter().for_each(|entry| state.apply(entry));
        state
    }

    /// Adds the next entry.
    pub(super) fn apply(&mut self, entry: &Entry) {
        let index = self.length;
        self.length += 1;
        match &entry.event {
            Event::Claimed(claim) => self.claims.push((index, claim.clone())),
            Event::Checkpoint(checkpoint) => {
                self.checkpoints.insert(index, checkpoint.clone());
            }
            Event::Best { entry } => self.best = Some(*entry),
            Event::Retired { entry } => {
                self.retired.insert(*entry);
            }
            Event::Trained { outcome } => self.end(TaskKind::Train, "", outcome),
            Event::Modelled { .. } => {}
            Event::Evaluated { subject, outcome, report } => {
                self.end(TaskKind::Evaluate, subject, outcome);
                self.report.clone_from(report);
            }
            Event::Finished { outcome } => self.end(TaskKind::Collect, "", outcome),
        }
    }

    fn end(&mut self, task: TaskKind, subject: &str, outcome: &Outcome) {
        self.ends.push((task, subject.to_owned(), outcome.clone()));
    }

    /// Number of entries: the index of the next one.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The outcome with which `task` ended when it was asked `subject`, the newest if there are several.
    pub fn outcome_of(&self, task: TaskKind, subject: &str) -> Option<&Outcome> {
        self.ends
            .iter()
            .rev()
            .find(|(ended, asked, _)| *ended == task && asked == subject)
            .map(|(_, _, outcome)| outcome)
    }

    /// The newest outcome of `task`, whatever it was asked.
    pub fn newest_outcome_of(&self, task: TaskKind) -> Option<&Outcome> {
        self.ends.iter().rev().find(|(ended, _, _)| *ended == task).map(|(_, _, outcome)| outcome)
    }

    /// The newest report's file of this name, relative to the run's folder.
    pub fn report(&self, name: &str) -> Option<&File> {
        self.report.iter().find(|file| file.name.rsplit('/').next() == Some(name))
    }

    /// Checkpoints that may be read, with the index of their entries, oldest first.
    pub fn checkpoints(&self) -> impl DoubleEndedIterator<Item = (u64, &Checkpoint)> {
        self.checkpoints
            .iter()
            .filter(|(index, _)| !self.retired.contains(index))
            .map(|(index, found)| (*index, found))
    }

    /// The checkpoint of this entry, unless it is retired.
    pub fn checkpoint(&self, entry: u64) -> Option<&Checkpoint> {
        self.checkpoints.get(&entry).filter(|_| !self.retired.contains(&entry))
    }

    /// Entry of the checkpoint that holds the best model.
    pub fn best(&self) -> Option<u64> {
        self.best
    }

    /// The claim that owns the run, with its term.
    pub fn newest_claim(&self) -> Option<(u64, &Claim)> {
        self.claims.last().map(|(term, claim)| (*term, claim))
    }

    /// How many attempts at `task` have claimed the run.
    pub fn attempts_at(&self, task: TaskKind) -> u32 {
        let claims = self.claims.iter().filter(|(_, claim)| claim.task == task);
        claims.map(|(_, claim)| claim.attempt).collect::<BTreeSet<_>>().len() as u32
    }

    /// Generation for a claim of this life of an attempt: one more than its highest. A queue may stop a Job and start it
    /// again, with the same number and the same UID.
    pub fn next_generation(&self, attempt: u32, incarnation: &str) -> u64 {
        let own = self.claims.iter().map(|(_, claim)| claim);
        let own = own.filter(|claim| claim.attempt == attempt && claim.incarnation == incarnation);
        own.map(|claim| claim.generation).max().map_or(0, |highest| highest.saturating_add(1))
    }

    /// Number for an attempt whose starter keeps no count: one more than the highest.
    pub fn next_attempt(&self) -> u32 {
        self.claims.iter().map(|(_, claim)| claim.attempt).max().map_or(1, |highest| highest.saturating_add(1))
    }

    /// Whether the run may be claimed.
    ///
    /// A claim of the same attempt, incarnation and generation is refused too: the first of two owns the run.
    pub fn decide_claim(&self, claim: &Claim) -> ClaimDecision {
        if let Some(outcome) = self.outcome_of(claim.task, &claim.subject) {
            return ClaimDecision::AlreadyDone(outcome.clone());
        }
        let others = self.claims.iter().filter(|(_, other)| other.nonce != claim.nonce);
        match self.claims.iter().find(|(_, own)| own.nonce == claim.nonce) {
            Some((term, own)) => match others.map(|(_, other)| other).find(|other| other.shuts_out(own)) {
                Some(other) => ClaimDecision::Fenced(other.clone()),
                None => ClaimDecision::Owned(*term),
            },
            None => match others.map(|(_, other)| other).find(|other| !claim.follows(other)) {
                Some(other) => ClaimDecision::Fenced(other.clone()),
                None => ClaimDecision::Claim,
            },
        }
    }

    /// Whether the writer of `term` may write `event` as the next entry.
    pub fn decide_append(&self, term: u64, event: &Event) -> AppendDecision {
        let Some((_, own)) = self.claims.iter().find(|(index, _)| *index == term) else {
            return AppendDecision::Misplaced("the writer never claimed the run");
        };
        if let Some(other) = self.successor_of(term) {
            return AppendDecision::Fenced(other.clone());
        }
        if !event.is_of(own.task) {
            return AppendDecision::Misplaced("its task doesn't write this kind of entry");
        }
        match event {
            Event::Best { entry } | Event::Retired { entry } if self.checkpoint(*entry).is_none() => {
                AppendDecision::Misplaced("it names no checkpoint that may be read")
            }
            Event::Retired { entry } if self.must_stay(*entry) => {
                AppendDecision::Misplaced("the newest and the best checkpoint stay")
            }
            _ => AppendDecision::Append,
        }
    }

    /// The claim that shuts out the one of `term`.
    pub fn successor_of(&self, term: u64) -> Option<&Claim> {
        let (_, own) = self.claims.iter().find(|(index, _)| *index == term)?;
        self.claims
            .iter()
            .filter(|(index, _)| *index != term)
            .map(|(_, other)| other)
            .find(|other| other.shuts_out(own))
    }

    fn must_stay(&self, entry: u64) -> bool {
        self.best == Some(entry) || self.checkpoints().next_back().is_some_and(|(newest, _)| newest == entry)
    }
}

impl Claim {
    /// Whether this claim may come after `earlier`.
    fn follows(&self, earlier: &Claim) -> bool {
        self.shuts_out(earlier) && (self.attempt > earlier.attempt || self.incarnation == earlier.incarnation)
    }
}
