//! What is there: everything that a decision is made from.

use jiff::{SignedDuration, Timestamp};
use teasel_api::outcome::Outcome;
use teasel_api::progress::Progress;
use teasel_api::spec::{AttemptStatus, RecommenderJob};
use teasel_api::task::TaskKind;

use super::stages::FrozenPart;
use crate::task_key::TaskKey;

/// A job and all that belongs to it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The job as it was just read, with its status.
    pub job: RecommenderJob,
    /// The Jobs of attempts, with their pods.
    pub children: Vec<Child>,
    /// Pods whose Job is gone, and which haven't ended yet.
    pub lingering: Vec<Pod>,
    /// Fields that were frozen.
    pub frozen: Vec<FrozenPart>,
    /// What worker 0 of the training attempt that runs says.
    pub progress: Option<Progress>,
    /// The job among those of its owner.
    pub lineage: Lineage,
    /// What has kept the operator for a while from doing as it decided: the API server's words.
    pub impediment: Option<String>,
}

/// A job's place among the runs of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// `namespace/name` of the schedule, or of the job itself where no schedule made it.
    pub owner: String,
    /// The tick's or the job's creation time, in milliseconds since 1970.
    pub sequence: i64,
    /// The owner's run that stands published: what relative gates compare with.
    pub published_run: Option<String>,
    /// Whether a newer run of the owner than this one is published.
    pub newer_published: bool,
    /// Whether the schedule hasn't recorded the job's tick yet: without the job it would run again.
    pub needed_by_schedule: bool,
    /// Runs of the owner that collection must leave alone, beside this one.
    pub keep: Vec<String>,
}

/// The Job of an attempt.
#[derive(Clone, Debug)]
pub struct Child {
    /// Name of the Job.
    pub name: String,
    /// UID of the Job, which is the attempt's incarnation.
    pub uid: String,
    /// What it is an attempt at.
    pub key: TaskKey,
    /// Number of the attempt.
    pub number: u32,
    /// When it was created or last unsuspended, whichever is later.
    pub since: Timestamp,
    /// Whether it is suspended: by a queue, or by somebody's hand.
    pub suspended: bool,
    /// How far it is.
    pub state: ChildState,
    /// Indexes that succeeded.
    pub succeeded: u32,
    /// Number of its indexes.
    pub completions: u32,
    /// How many pods it has at once.
    pub parallelism: u32,
    /// Why the Job controller couldn't create pods, where it couldn't.
    pub refusal: Option<Refusal>,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// Pods that the API server didn't take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The API server's words.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// How far a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// Neither of the others.
    Running,
    /// All indexes succeeded.
    Succeeded,
    /// It failed; its pods may still terminate.
    Failed {
        /// The Job's own reason, such as `BackoffLimitExceeded`.
        reason: String,
        /// The Job's own message.
        message: String,
        /// When.
        at: Option<Timestamp>,
    },
}

/// A pod of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Name of the pod.
    pub name: String,
    /// Completion index.
    pub index: u32,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Address, once it has one.
    pub address: Option<String>,
    /// Whether a node was found for it.
    pub scheduled: bool,
    /// Why none was found, in the scheduler's words.
    pub unschedulable: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// When it must be gone: its deletion was asked for, and its grace time ends then.
    pub gone_by: Option<Timestamp>,
    /// Reason and message of the condition DisruptionTarget.
    pub disruption: Option<(String, String)>,
    /// `status.reason`, such as `Evicted`.
    pub reason: Option<String>,
    /// `status.message`.
    pub message: Option<String>,
    /// Memory limit of the worker's container.
    pub memory_limit: Option<String>,
    /// The worker's container.
    pub container: Container,
    /// The other containers, those that run first among them.
    pub others: Vec<Container>,
    /// What the kubelet says of a pod that has a node and doesn't start, where it says anything.
    pub trouble: Option<String>,
}

/// How long a Job may be without some of its pods before its events are read.
pub const PODS_EXPECTED: SignedDuration = SignedDuration::from_secs(3);
/// A pod that has a node and hasn't started for so long is looked into.
const SLOW: SignedDuration = SignedDuration::from_secs(30);

impl Pod {
    /// Whether its worker has ended, or never begins.
    pub fn has_ended(&self) -> bool {
        matches!(self.container, Container::Terminated { .. } | Container::Gone)
    }

    /// Whether it has a node, and its worker should have started by now.
    pub fn is_slow_to_start(&self, now: Timestamp) -> bool {
        self.start_is_due().is_some_and(|due| due < now)
    }

    /// When its worker should have started, where it has a node and hasn't.
    pub fn start_is_due(&self) -> Option<Timestamp> {
        let starts = matches!(&self.container, Container::Unknown | Container::Waiting { .. });
        self.created.filter(|_| self.scheduled && starts).map(|created| created + SLOW)
    }
}

/// A container of a worker's pod.
#[derive(Clone, Debug, Default)]
pub enum Container {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// It waits to start.
    Waiting {
        /// The kubelet's reason, such as `CreateContainerConfigError`.
        reason: String,
        /// The kubelet's message.
        message: String,
    },
    /// It runs.
    Running,
    /// It ended.
    Terminated {
        /// Its exit code.
        exit_code: i32,
        /// The kubelet's reason, such as `OOMKilled`.
        reason: String,
        /// When.
        finished: Option<Timestamp>,
        /// The termination message, where it is one of ours.
        outcome: Option<Box<Outcome>>,
        /// The termination message, where it is somebody else's.
        other: Option<String>,
    },
    /// Its pod has failed, and nothing says how it ended: the kubelet refused the pod, or its node is lost.
    Gone,
}

impl Child {
    /// How far its task is: shards, or the newest step that any of its pods says is durable.
    pub fn done(&self) -> Option<u64> {
        if self.key.kind == TaskKind::Score {
            return Some(u64::from(self.succeeded));
        }
        self.reports().filter_map(|report| report.last_step).max()
    }

    /// What its pods said when they ended.
    pub fn reports(&self) -> impl Iterator<Item = &Outcome> {
        self.pods.iter().filter_map(|pod| match &pod.container {
            Container::Terminated { outcome, .. } => outcome.as_deref(),
            _ => None,
        })
    }

    /// Whether this is the Job of `attempt`: that on record, or the one of its number where none is yet.
    pub fn is_of(&self, attempt: &AttemptStatus) -> bool {
        self.key.owns(attempt)
            && self.number == attempt.number
            && attempt.job_uid.as_ref().is_none_or(|uid| *uid == self.uid)
    }

    /// Whether it should have more pods than it has.
    pub fn lacks_pods(&self) -> bool {
        let living = self.pods.iter().filter(|pod| !pod.has_ended());
        let wanted = self.parallelism.min(self.completions.saturating_sub(self.succeeded));
        let goes = self.state == ChildState::Running && !self.suspended;
        goes && living.count() < wanted as usize
    }

    /// Whether some of its pods work, and need none of the others for that.
    pub fn has_shards_at_work(&self) -> bool {
        let mut pods = self.pods.iter();
        self.key.kind == TaskKind::Score && pods.any(|pod| matches!(pod.container, Container::Running))
    }

    /// Whether somebody has edited it so that it can't get on: it may have none of its pods, or not all that have to meet.
    pub fn is_held_back(&self) -> bool {
        let needed = if self.key.kind == TaskKind::Train { self.completions } else { 1 };
        self.parallelism < needed
    }

    /// Pods that are ready.
    pub fn ready(&self) -> u32 {
        self.pods.iter().filter(|pod| pod.ready).count() as u32
    }
}
