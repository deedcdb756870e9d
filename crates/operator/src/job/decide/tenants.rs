//! Scoring and publishing: tenant by tenant, within the limits of the rollout.

use teasel_api::resolved::{Job, PublishMode, Tenant};
use teasel_api::spec::TenantPhase;
use teasel_api::task::{PublishAction, TaskKind};

use super::conditions::kind;
use super::effects::tenant_message;
use super::pipeline::{Hindrance, Standing};
use super::{Action, Plan};
use crate::job::restarts::Next;
use crate::job::stages::FrozenPart;
use crate::task_key::TaskKey;

/// Reason of a job of which more tenants failed than the rollout allows.
pub(super) const TENANTS_FAILED: &str = "TenantsFailed";

impl Plan<'_> {
    /// Scores all tenants, as many at once as the rollout allows.
    pub(super) fn score(&mut self, job: &Job) -> Standing {
        let rollout = job.scoring.rollout;
        let mut working = self.tenants_in(TenantPhase::Scoring) as u32;
        let mut failed: Vec<(String, String)> = Vec::new();
        for tenant in &job.scoring.tenants {
            if let Some(message) = self.still_unpublished(tenant, job) {
                failed.push((tenant.name.clone(), message));
                continue;
            }
            let phase = self.tenant(&tenant.name).map_or(TenantPhase::Pending, |status| status.phase);
            if phase.is_scored() {
                continue;
            }
            let begins = phase != TenantPhase::Scoring;
            let open =
                failed.len() as u32 <= rollout.max_failed_tenants && working < rollout.max_concurrent_tenants;
            if begins && !open && !self.has_failed(tenant, job) {
                continue;
            }
            match self.score_tenant(tenant, job) {
                Standing::Working => working += u32::from(begins),
                Standing::Done => working -= u32::from(!begins).min(working),
                Standing::Stuck { reason, message } => {
                    working -= u32::from(!begins).min(working);
                    self.tenant_failed(&tenant.name, &reason, &message);
                    failed.push((tenant.name.clone(), message));
                }
            }
        }
        self.approve(job);
        self.conclude_scoring(job, &failed)
    }

    fn has_failed(&self, tenant: &Tenant, job: &Job) -> bool {
        let key = TaskKey::of_tenant(TaskKind::Score, &tenant.name);
        self.next(&key, job) == Some(Next::GiveUp)
    }

    pub(super) fn tenants_in(&self, phase: TenantPhase) -> usize {
        self.decision.status.tenants.iter().filter(|tenant| tenant.phase == phase).count()
    }

    fn score_tenant(&mut self, tenant: &Tenant, job: &Job) -> Standing {
        let key = TaskKey::of_tenant(TaskKind::Score, &tenant.name);
        // A tenant that has begun goes on as it began, unless it failed and was changed.
        let (tenant, shards) = self.frozen_tenant(tenant, job);
        // Scored once, and taken out of the job since: the lists are found whole, or made for the tenant's new fields.
        let again = self.tenant(&tenant.name).is_some_and(|status| status.phase == TenantPhase::Pending);
        let standing = self.drive(&key, job, "", again, |plan| plan.score_task(job, &tenant, shards));
        let newest = self.newest(&key).map(|newest| (newest.number, newest.job_uid.clone()));
        let part = FrozenPart::Tenant { tenant: tenant.clone(), shards };
        if standing == Standing::Working {
            if !self.observed.frozen.contains(&part) {
                // Right before the attempt that is made from it.
                let actions = &self.decision.actions;
                let started = |action: &Action| matches!(action, Action::Start(start) if start.key == key);
                let position = actions.iter().rposition(started).unwrap_or(actions.len());
                self.decision.actions.insert(position, Action::Freeze(Box::new(part.clone())));
            }
            let (hash, generation) = (part.hash(), self.generation);
            let hindrance = self.hindrance(&key);
            if let Some(status) = self.tenant_mut(&tenant.name) {
                status.phase = TenantPhase::Scoring;
                status.uri = Some(tenant.output.uri.clone());
                if status.hash.as_ref() != Some(&hash) {
                    status.hash = Some(hash);
                    status.generation = Some(generation);
                }
                status.score_hash = None;
                status.message = hindrance.as_ref().map(|hindrance| tenant_message(&hindrance.message));
            }
        }
        if let (Some(status), Some((number, uid))) = (self.tenant_mut(&tenant.name), newest) {
            status.attempt = status.attempt.max(Some(number));
            status.job_uid = uid;
        }
        standing
    }

    /// The tenant's fields as they were frozen, where they were and still hold.
    fn frozen_tenant(&self, tenant: &Tenant, job: &Job) -> (Tenant, u32) {
        let hash = self.tenant(&tenant.name).filter(|status| status.phase == TenantPhase::Scoring);
        let hash = hash.and_then(|status| status.hash.as_ref());
        match hash.and_then(|hash| self.frozen_part(&tenant.name, hash)) {
            Some(FrozenPart::Tenant { tenant, shards }) => (tenant.clone(), *shards),
            _ => (tenant.clone(), job.scoring.shards),
        }
    }

    /// A tenant's fields that were written down, by their hash.
    pub(super) fn frozen_part(&self, tenant: &str, hash: &str) -> Option<&FrozenPart> {
        let mut parts = self.observed.frozen.iter();
        // The name first: hashing every tenant's fields for each tenant would take longer than all the rest.
        parts.find(|part| part.tenant() == Some(tenant) && part.hash() == hash)
    }

    fn tenant_failed(&mut self, name: &str, reason: &str, message: &str) {
        if let Some(status) = self.tenant_mut(name) {
            status.phase = TenantPhase::Failed;
            status.outcome = Some(reason.to_owned());
            status.message = Some(tenant_message(message));
        }
    }

    fn conclude_scoring(&mut self, job: &Job, failed: &[(String, String)]) -> Standing {
        let phases: Vec<TenantPhase> = self.decision.status.tenants.iter().map(|tenant| tenant.phase).collect();
        let scored = phases.iter().filter(|phase| phase.is_scored()).count();
        let all = phases.len();
        let works = phases.contains(&TenantPhase::Scoring);
        let allowed = failed.len() as u32 <= job.scoring.rollout.max_failed_tenants;
        if scored + failed.len() == all && allowed && !works {
            let message = format!("{scored} of {all} tenants are scored");
            self.set(
                kind::SCORED,
                failed.is_empty(),
                if failed.is_empty() { "Scored" } else { TENANTS_FAILED },
                message,
            );
            // One whose publishing has failed for now waits for the next attempt.
            let unpublished = job.publish == PublishMode::Automatic && phases.contains(&TenantPhase::Scored);
            return if unpublished || self.publishing() { Standing::Working } else { Standing::Done };
        }
        if !allowed && !works {
            let (first, why) = &failed[0];
            let message = format!("{} of {all} tenants failed; {first}: {why}", failed.len());
            self.set(kind::SCORED, false, TENANTS_FAILED, &message);
            return Standing::Stuck { reason: TENANTS_FAILED.into(), message };
        }
        let message = format!("{scored} of {all} tenants are scored");
        let scoring =
            job.scoring.tenants.iter().filter(|tenant| {
                self.tenant(&tenant.name).is_some_and(|status| status.phase == TenantPhase::Scoring)
            });
        let hindered = scoring.filter_map(|tenant| {
            let hindrance = self.hindrance(&TaskKey::of_tenant(TaskKind::Score, &tenant.name))?;
            Some((&tenant.name, hindrance))
        });
        let hindered: Vec<(&String, Hindrance)> = hindered.collect();
        let told = |(tenant, hindrance): &(&String, Hindrance)| {
            (hindrance.reason.clone(), format!("{message}; {tenant}: {}", hindrance.message))
        };
        match hindered.iter().find(|(_, hindrance)| hindrance.ended) {
            Some(restarting) => {
                let (reason, message) = told(restarting);
                self.set(kind::RESTARTING, true, &reason, message);
            }
            None if hindered.is_empty() => self.clear(kind::RESTARTING, "Running", "attempts run"),
            None => {}
        }
        let (reason, message) =
            hindered.first().map(told).unwrap_or_else(|| ("Scoring".to_owned(), message.clone()));
        self.set(kind::SCORED, false, &reason, message);
        Standing::Working
    }

    /// Publishes tenants that are scored, once that is approved.
    pub(super) fn approve(&mut self, job: &Job) {
        if job.publish == PublishMode::Manual {
            return;
        }
        for tenant in &job.scoring.tenants {
            self.still_unpublished(tenant, job);
            self.publish_tenant(tenant, job);
        }
    }

    fn publish_tenant(&mut self, tenant: &Tenant, job: &Job) {
        let scored = self.tenant(&tenant.name).filter(|status| status.phase == TenantPhase::Scored);
        let Some(score_hash) = scored.and_then(|status| status.score_hash.clone()) else { return };
        let action = PublishAction::Publish { run: self.uid.clone(), score_hash, take_over: false };
        let key = TaskKey::of_tenant(TaskKind::Publish, &tenant.name);
        let made = self.publish_task(job, tenant, action);
        // The pointer is moved on request too, by attempts at the same task.
        let newest = self.newest(&key).map(|newest| (newest.hash != made.hash, newest.outcome.is_none()));
        let requested = newest.is_some_and(|(other, _)| other);
        if requested && newest.is_some_and(|(_, runs)| runs) {
            return;
        }
        if let Standing::Stuck { reason, message } = self.drive(&key, job, "", requested, |_| made.clone()) {
            self.tenant_failed(&tenant.name, &reason, &message);
        }
        let newest = self.newest(&key).map(|newest| newest.number);
        if let Some(status) = self.tenant_mut(&tenant.name) {
            status.attempt = status.attempt.max(newest);
        }
    }

    /// Whether a failed tenant's lists would be made from other fields now. On a complete job nothing is made any more.
    pub(super) fn is_tenant_edited(&self, tenant: &Tenant, job: &Job) -> bool {
        let failed = self.tenant(&tenant.name).filter(|status| status.phase == TenantPhase::Failed);
        failed.filter(|_| !self.holds(kind::COMPLETE)).is_some_and(|failed| {
            failed.generation != Some(self.generation)
                && failed.hash.as_ref() != Some(&FrozenPart::of_tenant(tenant, job).hash())
        })
    }

    /// Why a tenant can't be published whose lists are whole, as long as nothing was changed since; where something
    /// was, the tenant is taken up again.
    fn still_unpublished(&mut self, tenant: &Tenant, job: &Job) -> Option<String> {
        let failed = self.tenant(&tenant.name).filter(|status| status.phase == TenantPhase::Failed)?;
        failed.score_hash.as_ref()?;
        let edited = self.is_tenant_edited(tenant, job);
        let key = TaskKey::of_tenant(TaskKind::Publish, &tenant.name);
        let given_up = self.next(&key, job) == Some(Next::GiveUp);
        if given_up && !edited {
            return Some(self.newest(&key).and_then(|newest| newest.message.clone()).unwrap_or_default());
        }
        if let Some(status) = self.tenant_mut(&tenant.name) {
            // Lists at another place, or of another length, are to be made first.
            status.phase = if edited { TenantPhase::Pending } else { TenantPhase::Scored };
        }
        None
    }

    /// Whether a tenant's lists are being published by a task of their own.
    fn publishing(&self) -> bool {
        self.running().any(|(attempt, _)| attempt.task == TaskKind::Publish)
    }
}
