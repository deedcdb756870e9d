//! What people read first: phase, reason, workers, progress.

use jiff::{SignedDuration, Timestamp};
use teasel_api::progress::Progress;
use teasel_api::spec::{Phase, ProgressStatus, PublishMode, TenantPhase, WorkersStatus};
use teasel_api::task::TaskKind;

use super::Plan;
use super::conditions::kind;
use crate::names::QUEUE_LABEL;
use crate::task_key::TaskKey;

/// Attempts that are kept beside each task's newest and those that run.
const OTHER_ATTEMPTS: usize = 20;

impl Plan<'_> {
    /// Sums the conditions up.
    pub(super) fn summarize(&mut self) {
        self.report_quota();
        self.report_published();
        let phase = self.phase();
        self.count_active(phase);
        self.report_workers(phase);
        let reason = self.deciding_condition(phase).and_then(|kind| Some(self.condition(kind)?.reason.clone()));
        let published = self.decision.status.tenants.iter();
        let published = published.filter(|tenant| tenant.phase == TenantPhase::Published).count() as u32;
        let status = self.status();
        status.phase = Some(phase);
        status.reason = reason;
        status.published_tenants = Some(published);
        self.trim_attempts();
    }

    fn phase(&self) -> Phase {
        if self.holds(kind::FAILED) {
            return Phase::Failed;
        }
        if self.holds(kind::COMPLETE) {
            return Phase::Succeeded;
        }
        if self.holds(kind::SUSPENDED) {
            return Phase::Suspended;
        }
        if self.is_queued() {
            return Phase::Queued;
        }
        match self.decision.status.attempts.is_empty() {
            true => Phase::Pending,
            false if !self.holds(kind::PREPARED) => Phase::Preparing,
            false if !self.holds(kind::TRAINED) => Phase::Training,
            false if !self.holds(kind::GATES_PASSED) => Phase::Evaluating,
            false => Phase::Scoring,
        }
    }

    fn deciding_condition(&self, phase: Phase) -> Option<&'static str> {
        match phase {
            Phase::Failed => Some(kind::FAILED),
            Phase::Succeeded if self.holds(kind::PUBLISHED) => Some(kind::COMPLETE),
            Phase::Succeeded => Some(kind::PUBLISHED),
            Phase::Suspended => Some(kind::SUSPENDED),
            Phase::Queued => Some(kind::QUOTA_RESERVED),
            Phase::Pending | Phase::Preparing => Some(kind::PREPARED),
            Phase::Training => Some(kind::TRAINED),
            Phase::Evaluating => Some(kind::GATES_PASSED),
            Phase::Scoring => Some(kind::SCORED),
        }
    }

    /// Whether something waits for quota and nothing runs.
    fn is_queued(&self) -> bool {
        let mut children = self.running().filter_map(|(_, child)| child).peekable();
        children.peek().is_some() && children.all(|child| child.suspended)
    }

    /// Whether the job's Jobs wait in a queue.
    pub(super) fn has_queue(&self) -> bool {
        self.observed.job.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(QUEUE_LABEL))
    }

    fn report_quota(&mut self) {
        if !self.has_queue() || self.is_finished() {
            return;
        }
        if self.is_queued() {
            self.set(kind::QUOTA_RESERVED, false, "Queued", "waiting for quota in the queue");
        } else if self.running().any(|(_, child)| child.is_some()) {
            self.set(kind::QUOTA_RESERVED, true, "QuotaReserved", "the queue has admitted what runs");
        }
    }

    /// Whether lists that are made wait for somebody to approve them.
    fn is_unapproved(&self) -> bool {
        let publish = self.spec.publish.as_ref();
        publish.is_some_and(|publish| publish.mode == Some(PublishMode::Manual) && publish.approved != Some(true))
    }

    fn report_published(&mut self) {
        let tenants = &self.decision.status.tenants;
        let all = tenants.len();
        let some_scored = tenants.iter().any(|tenant| tenant.phase.is_scored());
        if all == 0 || !(some_scored || self.holds(kind::COMPLETE)) {
            return;
        }
        let count = |phase| tenants.iter().filter(|tenant| tenant.phase == phase).count();
        let (published, waiting) = (count(TenantPhase::Published), count(TenantPhase::Scored));
        let mut message = format!("{published} of {all} tenants point to this run");
        // Where nothing is published yet, nobody is kept from it, and there may be many tenants.
        let publishes = self.attempts().iter().any(|attempt| attempt.task == TaskKind::Publish);
        let mut scored = tenants.iter().filter(|tenant| publishes && tenant.phase == TenantPhase::Scored);
        let hindered = scored.find_map(|tenant| {
            let hindrance = self.hindrance(&TaskKey::of_tenant(TaskKind::Publish, &tenant.name))?;
            Some((&tenant.name, hindrance.message))
        });
        if let Some((tenant, why)) = hindered {
            message.push_str(&format!("; {tenant}: {why}"));
        }
        let (holds, reason) = match (published, waiting) {
            (published, _) if published == all => (true, "Published"),
            (_, 1..) if self.is_unapproved() => (false, "AwaitingApproval"),
            (_, 1..) => (false, "Publishing"),
            _ if self.is_finished() => (false, "NotPublished"),
            _ => (false, "Publishing"),
        };
        if holds {
            self.decision.status.published_run = Some(self.uid.clone());
        }
        self.set(kind::PUBLISHED, holds, reason, message);
    }

    /// Time in a queue or suspended doesn't count against the deadline.
    fn count_active(&mut self, phase: Phase) {
        let active = !matches!(phase, Phase::Queued | Phase::Suspended | Phase::Succeeded | Phase::Failed);
        let now = self.now;
        let status = self.status();
        match (active, status.active_since) {
            (true, None) => status.active_since = Some(now),
            (false, Some(since)) => {
                // Rounded up: a job that exceeded its deadline must still have exceeded it when we look again.
                let active = now.duration_since(since).max(SignedDuration::ZERO);
                let seconds = active.as_secs() + i64::from(active.subsec_nanos() > 0);
                status.active_seconds = Some(status.active_seconds.unwrap_or_default() + seconds);
                status.active_since = None;
            }
            _ => {}
        }
    }

    fn report_workers(&mut self, phase: Phase) {
        let training = self.running().find(|(attempt, _)| attempt.task == TaskKind::Train);
        let workers = match training {
            Some((_, child)) => WorkersStatus {
                desired: self.spec.training.as_ref().and_then(|training| training.workers).unwrap_or(1),
                ready: child.map_or(0, |child| child.ready()),
            },
            None => WorkersStatus::default(),
        };
        if phase == Phase::Training && training.is_some() {
            self.wake(self.now + self.configuration.timing.progress);
        }
        self.status().workers = Some(workers);
    }

    /// Keeps each task's newest attempt, those that run, and the newest others. Of a tenant that has succeeded, the
    /// number stands in `tenants`.
    fn trim_attempts(&mut self) {
        let attempts = std::mem::take(&mut self.decision.status.attempts);
        let done = |attempt: &teasel_api::spec::AttemptStatus| {
            let tenant = attempt.tenant.as_deref().and_then(|tenant| self.tenant(tenant));
            tenant.is_some_and(|tenant| tenant.phase.is_scored() && tenant.attempt >= Some(attempt.number))
        };
        let is_newest = |attempt: &teasel_api::spec::AttemptStatus| {
            let same = attempts.iter().filter(|other| other.task == attempt.task && other.tenant == attempt.tenant);
            same.map(|other| other.number).max() == Some(attempt.number)
        };
        let needed: Vec<bool> = attempts
            .iter()
            .map(|attempt| attempt.outcome.is_none() || (is_newest(attempt) && !done(attempt)))
            .collect();
        let others = needed.iter().filter(|needed| !**needed).count();
        let mut drop = others.saturating_sub(OTHER_ATTEMPTS);
        let kept = attempts.iter().zip(&needed).filter(|(_, needed)| {
            let dropped = !**needed && drop > 0;
            drop -= usize::from(dropped);
            !dropped
        });
        self.decision.status.attempts = kept.map(|(attempt, _)| attempt.clone()).collect();
    }
}

/// A worker's progress, as the status has it.
pub(super) fn progress_status(now: Timestamp, progress: &Progress) -> ProgressStatus {
    let steps = progress.steps * u64::from(progress.epochs);
    let step = progress.global_step();
    let left = steps.saturating_sub(step) as f64;
    // Users per second and users per step aren't both known; the share that is done and the clock are.
    let since_start = progress.seconds.filter(|_| progress.percent > 0.0);
    let estimated_completion = since_start.and_then(|seconds| {
        let first = progress.first_step.unwrap_or_default();
        let done = step.checked_sub(first).filter(|done| *done > 0)? as f64;
        now.checked_add(SignedDuration::try_from_secs_f64(seconds * left / done).ok()?).ok()
    });
    ProgressStatus {
        epoch: progress.epoch,
        epochs: progress.epochs,
        step,
        // Before the first step it is of the items that are read.
        percent: if steps == 0 { 0 } else { progress.percent.clamp(0.0, 100.0) as u32 },
        estimated_completion,
        users_per_second: (progress.users_per_second > 0.0).then_some(progress.users_per_second),
        loss: progress.loss,
    }
}
