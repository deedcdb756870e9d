//! Whether and why an attempt has ended.
//!
//! The first cause wins over its echoes: a pod that only lost its peer says nothing about why.

mod cause;
mod obstacle;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use teasel_api::outcome::{Outcome, SHARD_SCORED};
use teasel_api::spec::AttemptOutcome;
use teasel_api::task::TaskKind;

pub use self::obstacle::{Obstacle, SECRET_MISSING, UNSCHEDULABLE, is_missing_task_file, obstacle};

use self::cause::{disruption_of, failed, is_open};
use super::observed::{Child, ChildState, PODS_EXPECTED, Pod};
use crate::configuration::Timing;

/// Reason of an attempt that succeeded, and whose pods were gone before they had been asked how.
pub const OUTCOME_UNREAD: &str = "OutcomeUnread";

/// Reason of an attempt whose pods are gone, and of which nothing is known.
const PODS_DELETED: &str = "PodsDeleted";

/// Reason of an attempt whose queue took back what it had admitted.
pub const QUOTA_RECLAIMED: &str = "QuotaReclaimed";

/// How long a Job may have failed before the pod that its others lost has to say why: that pod's kubelet may be slower
/// than theirs.
const CAUSE_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// An attempt's end.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, in CamelCase.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What took its pods away, where something did.
    pub disruption: Option<Disruption>,
    /// What the worker reported, where it could.
    pub report: Option<Outcome>,
}

/// What takes pods away, as `status.disruptions` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// The node died, rebooted or was cut off.
    NodeFailure,
    /// A drain, or a node short of memory or disk.
    Eviction,
    /// Pods of a higher priority.
    Preemption,
    /// No place was found.
    Unschedulable,
    /// Somebody deleted the pods or the Job, or a queue took the quota back.
    Other,
}

/// How an attempt is.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on; `look_again` is when time alone may change that.
    Goes {
        /// What keeps it from working.
        obstacle: Option<Obstacle>,
        /// When to look again.
        look_again: Option<Timestamp>,
    },
    /// It has ended, or is to be given up.
    Ended(Box<End>),
}

impl End {
    fn new(outcome: AttemptOutcome, reason: &str, message: impl Into<String>) -> Self {
        End { outcome, reason: reason.to_owned(), message: message.into(), disruption: None, report: None }
    }

    /// An end by disruption.
    pub fn disrupted(disruption: Disruption, reason: &str, message: impl Into<String>) -> Self {
        End { disruption: Some(disruption), ..End::new(AttemptOutcome::Disrupted, reason, message) }
    }

    /// This end, unless all that is known of it is that the pods are gone, and what takes them away was `announced`: the
    /// reason and message of the attempt while it ran.
    pub fn or_announced(self, announced: Option<(&str, &str)>) -> Self {
        match announced.filter(|_| self.reason == PODS_DELETED) {
            Some((reason, message)) => {
                End { report: self.report, ..End::disrupted(disruption_of(reason), reason, message) }
            }
            None => self,
        }
    }

    /// An end on request.
    pub fn suspended() -> Self {
        End::new(AttemptOutcome::Suspended, "Suspended", "stopped since the job is suspended")
    }

    /// An end of what couldn't start, since it is to be tried otherwise, or again at once.
    pub fn replaced() -> Self {
        End::new(
            AttemptOutcome::Suspended,
            "Replaced",
            "its pods couldn't start, and the job was changed or retried",
        )
    }
}

/// Judges a child. `scheduling_timeout` bounds how long its pods may wait for nodes.
pub fn judge(now: Timestamp, child: &Child, scheduling_timeout: SignedDuration, timing: &Timing) -> Verdict {
    match &child.state {
        ChildState::Succeeded => Verdict::Ended(Box::new(succeeded(child))),
        ChildState::Failed { .. } if child.suspended => Verdict::Ended(Box::new(End::disrupted(
            Disruption::Other,
            QUOTA_RECLAIMED,
            "the queue took its quota back",
        ))),
        ChildState::Failed { at: Some(at), .. } if is_open(child) && *at + CAUSE_GRACE > now => {
            Verdict::Goes { obstacle: None, look_again: Some(*at + CAUSE_GRACE) }
        }
        ChildState::Failed { reason, message, .. } => Verdict::Ended(Box::new(failed(child, reason, message))),
        ChildState::Running if child.suspended => Verdict::Goes { obstacle: None, look_again: None },
        ChildState::Running if child.is_held_back() => Verdict::Ended(Box::new(End::disrupted(
            Disruption::Other,
            "JobEdited",
            format!("its Job was edited to have {} pods at once, which isn't enough", child.parallelism),
        ))),
        ChildState::Running => running(now, child, scheduling_timeout, timing),
    }
}

/// What is about to end a child that still runs.
pub fn announced(child: &Child) -> Option<End> {
    cause::announced(child)
}

fn succeeded(child: &Child) -> End {
    // Of a tenant's shards, whichever was last found all committed; the others know nothing of the whole.
    let speaks = |report: &&Outcome| child.key.kind != TaskKind::Score || report.reason != SHARD_SCORED;
    let report = child.reports().filter(speaks).max_by_key(|report| (report.published.is_some(), report.users));
    match report {
        Some(report) => End {
            report: Some(report.clone()),
            ..End::new(AttemptOutcome::Succeeded, &report.reason, report.message.clone())
        },
        // What was done is durable, and whoever tries again finds it and says so.
        None => End::new(
            AttemptOutcome::Disrupted,
            OUTCOME_UNREAD,
            "its pods were gone before their outcome was read; it is read from storage",
        ),
    }
}

fn running(now: Timestamp, child: &Child, scheduling_timeout: SignedDuration, timing: &Timing) -> Verdict {
    // A node that is away never reports its pods' end, and the Job waits for ever.
    let overdue = child.pods.iter().filter_map(|pod| Some((pod, pod.gone_by? + timing.gone_grace)));
    if let Some((pod, _)) = overdue.clone().find(|(_, by)| *by <= now) {
        let message = format!("the node of pod {} is away", pod.name);
        return Verdict::Ended(Box::new(End::disrupted(Disruption::NodeFailure, "NodeFailure", message)));
    }
    let next_overdue = overdue.map(|(_, by)| by).min();
    if obstacle::lacks_task_file(child) {
        let message = "the ConfigMap with its task file was deleted";
        return Verdict::Ended(Box::new(End::disrupted(Disruption::Other, "TaskFileDeleted", message)));
    }

    let waiting = obstacle(child);
    // Shards that wait keep nobody from working, and those that work aren't to be taken away for them.
    let limited = waiting.as_ref().filter(|_| !child.has_shards_at_work());
    let limit = limited.map(|obstacle| {
        // Pods of later shards, and those that replace others, haven't waited for as long as the Job is there.
        let since = obstacle.since.map_or(child.since, |since| since.max(child.since));
        since + if obstacle.reason == UNSCHEDULABLE { scheduling_timeout } else { timing.retry_window }
    });
    match (waiting, limit) {
        (Some(obstacle), Some(limit)) if limit <= now => Verdict::Ended(Box::new(give_up(obstacle))),
        (obstacle, limit) => {
            let times = [limit, next_overdue, next_look(now, child)];
            Verdict::Goes { obstacle, look_again: times.into_iter().flatten().min() }
        }
    }
}

/// When to find out what keeps pods from being there, or from starting: only events say so, which nobody watches.
fn next_look(now: Timestamp, child: &Child) -> Option<Timestamp> {
    // Less and less often: what is missing for long is missed by nobody, or is said within a minute.
    let pause = PODS_EXPECTED.max(now.duration_since(child.since) / 4);
    let missing = (child.lacks_pods() && child.refusal.is_none()).then(|| now + pause);
    let slow = child.pods.iter().filter_map(Pod::start_is_due).filter(|due| *due > now);
    slow.chain(missing).min()
}

fn give_up(obstacle: Obstacle) -> End {
    if obstacle.reason == UNSCHEDULABLE {
        return End::disrupted(Disruption::Unschedulable, UNSCHEDULABLE, obstacle.message);
    }
    End::new(AttemptOutcome::PermanentFailure, obstacle.reason, obstacle.message)
}
