//! Attempts on record and the Jobs that are there: which belong together, and which attempts have ended.

use jiff::SignedDuration;
use teasel_api::resolved::DEFAULT_SCHEDULING_TIMEOUT_SECONDS;
use teasel_api::spec::{AttemptOutcome, CheckpointStatus, DisruptionsStatus, RestartsStatus};
use teasel_api::task::TaskKind;

use super::Plan;
use crate::job::observed::{Child, ChildState};
use crate::job::restarts;
use crate::job::verdict::{Disruption, End, OUTCOME_UNREAD, Verdict, announced, judge};
use crate::task_key::TaskKey;

/// Reason of an attempt whose Job somebody has deleted.
const JOB_DELETED: &str = "JobDeleted";

/// How long what was made for an attempt without a Job is looked for: a task that has no further attempt would have it done
/// for ever.
const LEFTOVERS: SignedDuration = SignedDuration::from_hours(1);

impl Plan<'_> {
    /// Records the Jobs of attempts and the ends of those that have ended.
    pub(super) fn adopt(&mut self) {
        self.take_progress();
        for index in 0..self.attempts().len() {
            let attempt = &self.attempts()[index];
            if attempt.outcome.is_some() {
                self.see_to_leftovers(index);
                continue;
            }
            match (attempt.job_uid.is_some(), self.child_of(attempt)) {
                // Decided on, and not created yet.
                (false, None) => {}
                (true, None) => {
                    let message = "its Job was deleted from outside";
                    self.conclude(index, &End::disrupted(Disruption::Other, JOB_DELETED, message), None);
                    self.see_to_leftovers(index);
                }
                (_, Some(child)) => {
                    self.decision.status.attempts[index].job_uid = Some(child.uid.clone());
                    self.look_at(index, child);
                }
            }
        }
    }

    /// Deletes the Service and the task file of an attempt whose Job was deleted, or that was suspended before it had one
    /// (an operator may have died between them and the Job), until its successor's Job is seen.
    fn see_to_leftovers(&mut self, index: usize) {
        let attempt = &self.attempts()[index];
        // First what few attempts are: a task's newest is looked for among all of them.
        let is_unmade = attempt.job_uid.is_none() && attempt.outcome == Some(AttemptOutcome::Suspended);
        let is_past = attempt.end_time.is_some_and(|end| self.now.duration_since(end) > LEFTOVERS);
        if attempt.reason.as_deref() != Some(JOB_DELETED) && (!is_unmade || is_past) {
            return;
        }
        let succeeded = self.newest(&TaskKey::of(attempt)).is_some_and(|newest| {
            newest.number > attempt.number && (newest.job_uid.is_some() || newest.outcome.is_some())
        });
        if !succeeded {
            self.delete_recorded(index);
        }
    }

    fn look_at(&mut self, index: usize, child: &Child) {
        let timeout = self.spec.training.as_ref().and_then(|training| training.scheduling_timeout);
        let timeout = timeout.map_or(DEFAULT_SCHEDULING_TIMEOUT_SECONDS, |duration| duration.seconds());
        let timeout = SignedDuration::from_secs(i64::try_from(timeout).unwrap_or(i64::MAX));
        match judge(self.now, child, timeout, &self.configuration.timing) {
            Verdict::Goes { look_again, .. } => {
                if let Some(at) = look_again {
                    self.wake(at);
                }
                // Once its pods are gone, nobody knows any more what has taken them.
                if let Some(end) = announced(child) {
                    let attempt = &mut self.decision.status.attempts[index];
                    (attempt.reason, attempt.message) = (Some(end.reason), Some(end.message));
                }
            }
            Verdict::Ended(end) => {
                let attempt = &self.attempts()[index];
                let end = end.or_announced(attempt.reason.as_deref().zip(attempt.message.as_deref()));
                self.conclude(index, &end, Some(child));
            }
        }
    }

    /// Records an attempt's end, counts it, and lets what it achieved take effect.
    pub(super) fn conclude(&mut self, index: usize, end: &End, child: Option<&Child>) {
        let attempt = &mut self.decision.status.attempts[index];
        restarts::conclude(attempt, self.now, end, child.and_then(Child::done));
        let key = TaskKey::of(attempt);
        let (number, hash) = (attempt.number, attempt.hash.clone());
        // An inspection isn't the job's work: that it finds nothing counts for nothing.
        // What came of an attempt that nobody has asked may still be read.
        if key.kind != TaskKind::Inspect && end.reason != OUTCOME_UNREAD {
            self.count(end);
        }
        if end.outcome == AttemptOutcome::Succeeded {
            self.note(false, &end.reason, format!("{key}, attempt {number}: {}", end.message));
            match &end.report {
                Some(_) if key.kind == TaskKind::Inspect => self.inspected(&key, &hash, end),
                Some(report) => self.take_effect(&key, report),
                None => {}
            }
        } else {
            let warning = end.outcome != AttemptOutcome::Suspended;
            self.note(warning, &end.reason, format!("{key}, attempt {number} ended: {}", end.message));
        }
        // A Job that hasn't failed by itself goes on for ever: its node is away, or it was never placed.
        if let Some(child) = child.filter(|child| child.state == ChildState::Running) {
            self.delete(child);
        }
    }

    fn count(&mut self, end: &End) {
        let status = &mut self.decision.status;
        if matches!(end.outcome, AttemptOutcome::Failed | AttemptOutcome::OutOfMemory) {
            let restarts = status.restarts.get_or_insert_with(RestartsStatus::default);
            match end.outcome {
                AttemptOutcome::OutOfMemory => restarts.out_of_memory += 1,
                _ => restarts.failures += 1,
            }
        }
        if let Some(disruption) = end.disruption {
            self.count_disruption(disruption);
        }
    }

    pub(super) fn count_disruption(&mut self, disruption: Disruption) {
        let disruptions = self.decision.status.disruptions.get_or_insert_with(DisruptionsStatus::default);
        disruptions.total += 1;
        match disruption {
            Disruption::NodeFailure => disruptions.node_failure += 1,
            Disruption::Eviction => disruptions.eviction += 1,
            Disruption::Preemption => disruptions.preemption += 1,
            Disruption::Unschedulable => disruptions.unschedulable += 1,
            Disruption::Other => {}
        }
    }

    /// Takes over what worker 0 says of the training attempt that runs.
    fn take_progress(&mut self) {
        let Some(progress) = &self.observed.progress else { return };
        let attempts = self.decision.status.attempts.iter_mut();
        let training = attempts.filter(|attempt| attempt.task == TaskKind::Train && attempt.outcome.is_none());
        let Some(attempt) = training.max_by_key(|attempt| attempt.number) else { return };
        // Never earlier than what was durable before: doing that again is no progress.
        attempt.first_step = attempt.first_step.max(progress.first_step);
        if let Some(checkpoint) = &progress.checkpoint {
            attempt.last_step = attempt.last_step.max(Some(checkpoint.step));
            if let Ok(time) = jiff::Timestamp::from_millisecond(checkpoint.time) {
                let (step, uri) = (checkpoint.step, checkpoint.uri.clone());
                self.decision.status.checkpoint = Some(CheckpointStatus { step, time, uri });
            }
        }
        self.decision.status.progress = Some(super::summary::progress_status(self.now, progress));
    }

    /// Deletes Jobs that no attempt answers for, and those of attempts before the last but one.
    pub(super) fn clean_up(&mut self) {
        for child in &self.observed.children {
            let of_task = |attempt: &&teasel_api::spec::AttemptStatus| child.key.owns(attempt);
            let newer = self.attempts().iter().filter(of_task).filter(|other| other.number > child.number).count();
            let recorded = self.attempts().iter().find(|attempt| child.is_of(attempt));
            let wanted = match recorded {
                Some(attempt) if attempt.outcome.is_none() => true,
                // It was to end, and whoever decided so may have died before it was told.
                Some(_) if child.state == ChildState::Running => false,
                // The last one's pods, and with a new attempt under way also the one's before, have logs to read.
                Some(_) => newer <= 1,
                // Of a tenant that has succeeded only the number is kept.
                None => {
                    child.key.tenant.as_deref().and_then(|tenant| self.tenant(tenant)?.attempt)
                        == Some(child.number)
                }
            };
            if !wanted {
                self.delete(child);
            }
        }
    }
}
