//! Conditions: what holds, why, and what to do.

use teasel_api::spec::Condition;

use super::Plan;

/// Types of a job's conditions.
pub(super) mod kind {
    pub(crate) const VALIDATED: &str = "Validated";
    pub(crate) const QUOTA_RESERVED: &str = "QuotaReserved";
    pub(crate) const SUSPENDED: &str = "Suspended";
    pub(crate) const PREPARED: &str = "Prepared";
    pub(crate) const TRAINED: &str = "Trained";
    pub(crate) const GATES_PASSED: &str = "GatesPassed";
    pub(crate) const SCORED: &str = "Scored";
    pub(crate) const PUBLISHED: &str = "Published";
    pub(crate) const RESTARTING: &str = "Restarting";
    pub(crate) const COMPLETE: &str = "Complete";
    pub(crate) const FAILED: &str = "Failed";
}

/// Longest message of a condition, in bytes: Kubernetes' own types allow 32 KiB, people read less.
pub(crate) const MESSAGE_BYTES: usize = 2048;

impl Plan<'_> {
    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.decision.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether a condition is True.
    pub(super) fn holds(&self, kind: &str) -> bool {
        self.condition(kind).is_some_and(|condition| condition.status == "True")
    }

    /// Sets a condition; its time of transition only changes with its status.
    pub(super) fn set(&mut self, kind: &str, holds: bool, reason: &str, message: impl AsRef<str>) {
        let status = if holds { "True" } else { "False" };
        let since = match self.condition(kind) {
            Some(before) if before.status == status => before.last_transition_time,
            _ => self.now,
        };
        let condition = Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(self.generation),
            last_transition_time: since,
            reason: reason.to_owned(),
            message: super::restarts::cut(message.as_ref(), MESSAGE_BYTES),
        };
        let conditions = &mut self.decision.status.conditions;
        match conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(before) => *before = condition,
            None => conditions.push(condition),
        }
    }

    /// Sets a condition to False, where it is there at all.
    pub(super) fn clear(&mut self, kind: &str, reason: &str, message: &str) {
        if self.holds(kind) {
            self.set(kind, false, reason, message);
        }
    }

    /// Whether the job has ended, well or badly.
    pub(super) fn is_finished(&self) -> bool {
        self.holds(kind::COMPLETE) || self.holds(kind::FAILED)
    }

    /// Ends the job badly.
    pub(super) fn fail(&mut self, reason: &str, message: &str) {
        if !self.holds(kind::FAILED) {
            self.status().completion_time = Some(self.now);
            self.note(true, reason, message);
        }
        self.set(kind::FAILED, true, reason, message);
        self.clear(kind::RESTARTING, reason, "no further attempt is made");
    }
}
