//! What stops a job: suspension, its deadline, and in the end its time to live.

use jiff::SignedDuration;
use teasel_api::spec::PublishMode;

use super::conditions::kind;
use super::{Action, Plan};
use crate::job::verdict::End;

/// Whether the job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It does.
    Go,
    /// It doesn't, for now or for ever.
    Stopped,
}

/// Reason of a job that was active for too long.
pub(super) const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

impl Plan<'_> {
    /// Stops what must stop.
    pub(super) fn stop(&mut self) -> Stop {
        self.end_life();
        if self.is_finished() {
            // Nothing is left to suspend.
            self.clear(kind::SUSPENDED, "Finished", "the job has ended");
            return if self.holds(kind::COMPLETE) { Stop::Go } else { Stop::Stopped };
        }
        if self.spec.suspend == Some(true) {
            self.suspend();
            return Stop::Stopped;
        }
        if self.holds(kind::SUSPENDED) {
            self.note(false, "Resumed", "the job goes on from its newest checkpoint");
            self.set(kind::SUSPENDED, false, "Resumed", "the job goes on");
        }
        if self.exceed_deadline() {
            return Stop::Stopped;
        }
        Stop::Go
    }

    /// Ends every attempt that runs. A worker that gets SIGTERM makes a checkpoint before it ends.
    pub(super) fn end_attempts(&mut self, end: &End) {
        for index in 0..self.attempts().len() {
            if self.attempts()[index].outcome.is_none() {
                let child = self.child_of(&self.attempts()[index]);
                self.conclude(index, end, child);
                if let Some(child) = child {
                    self.delete(child);
                }
            }
        }
    }

    fn suspend(&mut self) {
        let ends = self.running().any(|(_, child)| child.is_some());
        self.end_attempts(&End::suspended());
        if ends || !self.observed.lingering.is_empty() {
            self.set(kind::SUSPENDED, true, "Suspending", "pods are making a checkpoint and ending");
        } else {
            if self.condition(kind::SUSPENDED).is_none_or(|before| before.reason != "Suspended") {
                self.note(false, "Suspended", "nothing runs; unset spec.suspend to go on");
            }
            self.set(kind::SUSPENDED, true, "Suspended", "nothing runs; unset spec.suspend to go on");
        }
        self.clear(kind::RESTARTING, "Suspended", "the job is suspended");
    }

    /// How long the job has been active.
    fn active(&self) -> SignedDuration {
        let status = &self.decision.status;
        let before = SignedDuration::from_secs(status.active_seconds.unwrap_or_default());
        let since = status.active_since.map_or(SignedDuration::ZERO, |since| self.now.duration_since(since));
        before + since.max(SignedDuration::ZERO)
    }

    fn exceed_deadline(&mut self) -> bool {
        let Some(deadline) = self.spec.active_deadline_seconds.map(SignedDuration::from_secs) else { return false };
        let active = self.active();
        if active < deadline {
            if self.decision.status.active_since.is_some() {
                self.wake(self.now + (deadline - active));
            }
            return false;
        }
        self.end_attempts(&End { reason: DEADLINE_EXCEEDED.into(), ..End::suspended() });
        let message = format!(
            "the job was active for {} seconds, which activeDeadlineSeconds allows; raise it, and the job goes on",
            deadline.as_secs()
        );
        self.fail(DEADLINE_EXCEEDED, &message);
        true
    }

    /// Whether a job that failed by its deadline has time left, since the deadline was changed.
    pub(super) fn deadline_moved(&self) -> bool {
        let deadline = self.spec.active_deadline_seconds.map(SignedDuration::from_secs);
        deadline.is_none_or(|deadline| self.active() < deadline)
    }

    fn end_life(&mut self) {
        let Some(seconds) = self.spec.ttl_seconds_after_finished else { return };
        let Some(ended) = self.decision.status.completion_time.filter(|_| self.is_finished()) else { return };
        if self.awaits_approval() || self.observed.lineage.needed_by_schedule {
            return;
        }
        let at = ended + SignedDuration::from_secs(seconds);
        if at <= self.now {
            self.act(Action::DeleteJob);
        } else {
            self.wake(at);
        }
    }

    /// Whether somebody still has to decide: such a job outlives its time until a newer run of its owner is published.
    fn awaits_approval(&self) -> bool {
        let manual = self.spec.publish.as_ref().is_some_and(|publish| publish.mode == Some(PublishMode::Manual));
        let open = manual && self.holds(kind::COMPLETE) && !self.holds(kind::PUBLISHED);
        open && !self.observed.lineage.newer_published
    }
}
