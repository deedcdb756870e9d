//! What people ask for: mending what has failed, and moving a tenant's pointer.

use teasel_api::request::{PUBLISH_REQUEST_ANNOTATION, PublishRequest, RETRY_ANNOTATION, RequestAction};
use teasel_api::resolved::Job;
use teasel_api::spec::{AttemptOutcome, AttemptStatus, PublishRequestStatus, Stage, TenantPhase};
use teasel_api::task::{PublishAction, TaskKind};

use super::Plan;
use super::conditions::kind;
use super::start::Made;
use super::stops::DEADLINE_EXCEEDED;
use super::tenants::TENANTS_FAILED;
use crate::job::observed::ChildState;
use crate::job::restarts::Next;
use crate::job::stages::{FrozenPart, attempt_hash, stage_of, template_of};
use crate::job::verdict::{End, obstacle};
use crate::names::short_hash;
use crate::publish_request;
use crate::task_key::TaskKey;

impl Plan<'_> {
    fn annotation(&self, name: &str) -> Option<&str> {
        self.observed.job.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Takes up again what has failed for good, where its fields were changed or a retry is asked for.
    pub(super) fn mend(&mut self, job: &Job) {
        let retry = self.annotation(RETRY_ANNOTATION).map(str::to_owned);
        let asked = retry.is_some() && retry != self.decision.status.retry;
        let mut mended = false;
        for index in 0..self.attempts().len() {
            let attempt = &self.attempts()[index];
            let hangs = self.is_kept_from_starting(attempt) || self.is_unfrozen(attempt);
            let waits = self.waits_to_retry(attempt, job);
            // The fields last: they are hashed.
            if !(hangs || waits || self.has_failed_for_good(attempt, job))
                || !(asked || self.is_edited(attempt, job))
            {
                continue;
            }
            if let (TaskKind::Score, Some(tenant)) = (attempt.task, attempt.tenant.clone())
                && let Some(status) = self.tenant_mut(&tenant)
                && status.phase == TenantPhase::Scoring
            {
                // It begins anew, with the fields as they are now.
                status.phase = TenantPhase::Pending;
            }
            let attempt = &self.attempts()[index];
            if hangs {
                let child = self.child_of(attempt);
                self.conclude(index, &End::replaced(), child);
            } else {
                self.decision.status.attempts[index].mended = true;
                mended = true;
            }
        }
        let failed_by = self.condition(kind::FAILED).filter(|failed| failed.status == "True");
        let is_newer = failed_by.is_some_and(|failed| failed.observed_generation != Some(self.generation));
        // Where a policy was changed, what had failed for good may not have any more.
        match failed_by.map(|failed| failed.reason.as_str()) {
            Some(DEADLINE_EXCEEDED) => mended |= self.deadline_moved(),
            Some("InvalidSpec") => mended = true,
            Some(TENANTS_FAILED) => {
                mended |= self.tenants_in(TenantPhase::Failed) as u32 <= job.scoring.rollout.max_failed_tenants;
            }
            // Another release, or another configuration of the operator, may judge otherwise: that mends nothing.
            Some(_) if mended || !is_newer => {}
            Some(_) => mended = !self.attempts().iter().any(|attempt| self.has_failed_for_good(attempt, job)),
            None => mended &= !self.holds(kind::COMPLETE),
        }
        if mended && self.holds(kind::FAILED) {
            self.set(kind::FAILED, false, "Mended", "the job goes on");
            self.note(false, "Mended", "the job goes on");
            self.status().completion_time = None;
        }
        if asked {
            self.status().retry = retry;
        }
    }

    /// Whether the attempt would be made from other fields now. Another release of the operator may resolve the same
    /// fields otherwise: that mends nothing.
    pub(super) fn is_edited(&self, attempt: &AttemptStatus, job: &Job) -> bool {
        if attempt.task == TaskKind::Publish {
            let mut tenants = job.scoring.tenants.iter();
            let tenant = tenants.find(|tenant| Some(&tenant.name) == attempt.tenant.as_ref());
            return tenant.is_some_and(|tenant| {
                self.is_tenant_edited(tenant, job) || self.would_be_published_by_others(attempt)
            });
        }
        attempt.generation != Some(self.generation)
            && self.current_hash(attempt, job).is_some_and(|hash| hash != attempt.hash)
    }

    /// Whether the pods that publish a failed tenant's lists would be made from another template now.
    fn would_be_published_by_others(&self, attempt: &AttemptStatus) -> bool {
        let tenant = attempt.tenant.as_deref().and_then(|name| self.tenant(name));
        tenant.is_some_and(|tenant| tenant.phase == TenantPhase::Failed)
            && attempt.generation != Some(self.generation)
            && attempt.hash != attempt_hash(None, template_of(TaskKind::Publish, self.spec))
    }

    /// Whether the attempt's pods can't start: it has nothing to lose, and another may have what this one lacks.
    fn is_kept_from_starting(&self, attempt: &AttemptStatus) -> bool {
        let child = self.child_of(attempt).filter(|_| attempt.outcome.is_none());
        child.is_some_and(|child| {
            let waits = child.state == ChildState::Running && !child.suspended && !child.has_shards_at_work();
            waits && obstacle(child).is_some()
        })
    }

    /// Whether an attempt runs whose fields may be edited: the one before lacked something, or it did itself.
    fn is_unfrozen(&self, attempt: &AttemptStatus) -> bool {
        attempt.task == TaskKind::Prepare && attempt.outcome.is_none() && !self.is_frozen(Stage::Data)
    }

    fn is_newest(&self, attempt: &AttemptStatus) -> bool {
        self.newest(&TaskKey::of(attempt)).is_some_and(|newest| newest.number == attempt.number)
    }

    /// Whether another attempt would follow, later.
    fn waits_to_retry(&self, attempt: &AttemptStatus, job: &Job) -> bool {
        self.is_newest(attempt) && matches!(self.next(&TaskKey::of(attempt), job), Some(Next::AgainAt(_)))
    }

    fn has_failed_for_good(&self, attempt: &AttemptStatus, job: &Job) -> bool {
        let gate_not_met = attempt.outcome == Some(AttemptOutcome::Succeeded)
            && attempt.task == TaskKind::Evaluate
            && self.condition(kind::GATES_PASSED).is_some_and(|passed| passed.status == "False");
        let given_up = || self.next(&TaskKey::of(attempt), job) == Some(Next::GiveUp);
        self.is_newest(attempt) && !attempt.mended && (gate_not_met || given_up())
    }

    /// Hash of what the attempt would be made from now; `None` where nothing of the spec decides it.
    fn current_hash(&self, attempt: &AttemptStatus, job: &Job) -> Option<String> {
        let template = template_of(attempt.task, self.spec);
        if let Some(stage) = stage_of(attempt.task) {
            return Some(attempt_hash(Some(&FrozenPart::of_stage(stage, job)), template));
        }
        let name = attempt.tenant.as_deref().filter(|_| attempt.task == TaskKind::Score)?;
        let tenant = job.scoring.tenants.iter().find(|tenant| tenant.name == name)?;
        Some(attempt_hash(Some(&FrozenPart::of_tenant(tenant, job)), template))
    }

    /// Carries out a request to move a tenant's pointer, and answers it.
    pub(super) fn serve_requests(&mut self, job: &Job) {
        let Some(text) = self.annotation(PUBLISH_REQUEST_ANNOTATION).map(str::to_owned) else { return };
        let request = match publish_request::read(&text) {
            Ok(request) => request,
            Err((id, message)) => return self.answer(&id, None, "Refused", &message),
        };
        if self.decision.status.publish_request.as_ref().is_some_and(|answer| answer.answers(&request.id)) {
            return;
        }
        let tenant = request.tenant.clone();
        let Some(entry) = job.scoring.tenants.iter().find(|entry| entry.name == tenant) else {
            let message = format!("the job has no tenant {tenant}");
            return self.answer(&request.id, Some(&tenant), "Refused", &message);
        };
        let action = match self.action_of(&request) {
            Ok(action) => action,
            Err(message) => return self.answer(&request.id, Some(&tenant), "Refused", message),
        };
        if self.holds(kind::SUSPENDED) {
            // Nothing may run now.
            self.status().publish_request = Some(PublishRequestStatus {
                id: request.id,
                tenant: Some(tenant),
                outcome: None,
                message: Some("waits until the job isn't suspended any more".into()),
            });
            return;
        }
        let key = TaskKey::of_tenant(TaskKind::Publish, &tenant);
        let hash = short_hash(&request.id, 16);
        let newest = self.newest(&key).filter(|newest| newest.hash == hash).cloned();
        let next = newest.as_ref().and_then(|_| self.next(&key, job));
        let (reason, said) = newest.map_or((None, None), |newest| (newest.reason, newest.message));
        let (reason, said) = (reason.unwrap_or_default(), said.unwrap_or_default());
        match next {
            Some(Next::Done) => {
                self.settle_rollback(&request, &tenant);
                self.answer(&request.id, Some(&tenant), &reason, &said);
            }
            Some(Next::GiveUp) => self.answer(&request.id, Some(&tenant), "Refused", &said),
            Some(next @ (Next::AgainAt(_) | Next::Running)) => {
                match next {
                    Next::AgainAt(at) => self.wake(at),
                    _ => self.ensure_started(&key, |plan| plan.publish_task(job, entry, action)),
                }
                let message = self.hindrance(&key).map(|hindrance| hindrance.message);
                let waits = PublishRequestStatus { id: request.id, tenant: Some(tenant), outcome: None, message };
                self.status().publish_request = Some(waits);
            }
            None | Some(Next::Again) => {
                if self.running().any(|(attempt, _)| key.owns(attempt)) {
                    // One at a time; its end brings us back.
                    return;
                }
                self.status().publish_request = Some(PublishRequestStatus {
                    id: request.id.clone(),
                    tenant: Some(tenant),
                    outcome: None,
                    message: None,
                });
                let made = self.publish_task(job, entry, action);
                self.begin(&key, Made { hash, ..made });
            }
        }
    }

    fn action_of(&self, request: &PublishRequest) -> Result<PublishAction, &'static str> {
        match request.action {
            RequestAction::Release => Ok(PublishAction::Release),
            RequestAction::Rollback => match &request.run {
                Some(run) => Ok(PublishAction::Rollback { to: run.clone(), hold: request.hold }),
                None => Err("a rollback needs the run to go back to"),
            },
            RequestAction::Publish | RequestAction::TakeOver => {
                let score_hash = self.tenant(&request.tenant).and_then(|tenant| tenant.score_hash.clone());
                let score_hash = score_hash.ok_or("this job has no whole lists for the tenant")?;
                let take_over = request.action == RequestAction::TakeOver;
                Ok(PublishAction::Publish { run: self.uid.clone(), score_hash, take_over })
            }
        }
    }

    /// A rollback may lead to this run, or away from it.
    fn settle_rollback(&mut self, request: &PublishRequest, tenant: &str) {
        let (RequestAction::Rollback, Some(run)) = (request.action, &request.run) else { return };
        let (here, message) = (*run == self.uid, format!("rolled back to run {run}"));
        let Some(status) = self.tenant_mut(tenant) else { return };
        let was_scored = status.phase.is_scored();
        if here {
            status.phase = TenantPhase::Published;
            status.rolled_back_to = None;
            status.message = None;
        } else if was_scored {
            status.phase = TenantPhase::NotPublished;
            status.outcome = Some("RolledBack".into());
            status.rolled_back_to = Some(run.clone());
            status.message = Some(super::effects::tenant_message(&message));
        }
    }

    fn answer(&mut self, id: &str, tenant: Option<&str>, outcome: &str, message: &str) {
        let answer = PublishRequestStatus {
            id: id.to_owned(),
            tenant: tenant.map(str::to_owned),
            outcome: Some(outcome.to_owned()),
            message: Some(message.to_owned()),
        };
        if self.decision.status.publish_request.as_ref() != Some(&answer) {
            self.note(outcome == "Refused", outcome, format!("request {id}: {message}"));
            self.status().publish_request = Some(answer);
        }
    }
}
