//! What stands in a run's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use teasel_api::outcome::Outcome;
use teasel_api::task::TaskKind;

use crate::manifest::File;

/// One entry: an event, and who wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The writer's term: the index of its `Claimed` entry. Unset in a `Claimed` entry itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Of this one write: it tells a retried create that the object that exists is its own.
    pub nonce: String,
    /// When it was written, in milliseconds since 1970, by the writer's clock. For people only.
    pub time: i64,
    /// What happened.
    pub event: Event,
}

/// What happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// An attempt took the run over.
    Claimed(Claim),
    /// Train: a checkpoint is whole.
    Checkpoint(Checkpoint),
    /// Train: the checkpoint of this entry holds the best model so far.
    Best {
        /// Index of the checkpoint's entry.
        entry: u64,
    },
    /// Train, collect: the checkpoint of this entry isn't to be read any more, and its files go.
    ///
    /// An index and not a step: after falling back to an older checkpoint a step comes twice.
    Retired {
        /// Index of the checkpoint's entry.
        entry: u64,
    },
    /// Train: ended.
    Trained {
        /// How.
        outcome: Outcome,
    },
    /// Evaluate: the model's manifest is committed. Written before `Evaluated`.
    Modelled {
        /// The manifest, under `models/<run>/`.
        manifest: File,
    },
    /// Evaluate: ended.
    Evaluated {
        /// Files of the report, relative to the run's folder.
        report: Vec<File>,
        /// What the claim was asked.
        subject: String,
        /// How.
        outcome: Outcome,
    },
    /// Collect: ended, and so has the run.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

impl Event {
    /// Whether `task` may write this event.
    pub(super) fn is_of(&self, task: TaskKind) -> bool {
        match self {
            Event::Claimed(_) => false,
            Event::Checkpoint(_) | Event::Best { .. } | Event::Trained { .. } => task == TaskKind::Train,
            Event::Retired { .. } => matches!(task, TaskKind::Train | TaskKind::Collect),
            Event::Modelled { .. } | Event::Evaluated { .. } => task == TaskKind::Evaluate,
            Event::Finished { .. } => task == TaskKind::Collect,
        }
    }
}

/// Who takes a run over, and on what kind of machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claim {
    /// The task: train, evaluate or collect.
    pub task: TaskKind,
    /// Number of the attempt, counted over the tasks that write this log. A higher one fences lower ones out.
    pub attempt: u32,
    /// The life of the attempt: the Job's UID, or a random one per `teasel run`. Two lives of one attempt can't both
    /// own a run: the first to claim does.
    pub incarnation: String,
    /// Within one incarnation, counts how often its group re-formed. A higher one fences lower ones out.
    pub generation: u64,
    /// Of the claimant.
    pub nonce: String,
    /// Ranks of the group.
    pub world: u32,
    /// Compute threads of each rank.
    pub threads: u32,
    /// CPU capability that libtorch chose, such as `AVX2`.
    pub cpu: String,
    /// Version of the program.
    pub build: String,
    /// What the task was asked beyond the run itself, as a hash: the gates, for evaluate. An end that answered another
    /// subject doesn't answer this claim. Empty where the run says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

impl Claim {
    /// Whether this claim, made or to be made, shuts `other` out.
    ///
    /// Of the same attempt and incarnation, the higher generation owns the run, and of the same generation the one
    /// that was first in the log.
    pub(super) fn shuts_out(&self, other: &Claim) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self.attempt.cmp(&other.attempt) {
            Greater => true,
            Less => false,
            Equal if self.incarnation != other.incarnation => true,
            Equal => self.generation > other.generation,
        }
    }
}

/// A whole checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Training steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u32,
    /// Files, with names relative to the run's folder.
    pub files: Vec<File>,
    /// Metrics at that time, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}
