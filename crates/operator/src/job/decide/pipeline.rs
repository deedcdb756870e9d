//! The stages of a job, one after the other.

use teasel_api::Violation;
use teasel_api::outcome::GATE_NOT_MET;
use teasel_api::resolved::{Job, PublishMode, Tenant};
use teasel_api::spec::{AttemptOutcome, FrozenStage, Stage, TenantPhase, TenantStatus};
use teasel_api::task::TaskKind;

use super::conditions::kind;
use super::start::Made;
use super::{Action, Plan};
use crate::job::observed::ChildState;
use crate::job::restarts::Next;
use crate::job::stages::{FrozenPart, stage_of};
use crate::job::verdict::{OUTCOME_UNREAD, SECRET_MISSING, UNSCHEDULABLE, obstacle};
use crate::names::short_hash;
use crate::task_key::TaskKey;

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is being worked on, or waits for another attempt.
    Working,
    /// It is done.
    Done,
    /// It has failed for good.
    Stuck {
        /// Why, in CamelCase.
        reason: String,
        /// Why, in a sentence.
        message: String,
    },
}

/// What keeps a task from being worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hindrance {
    /// Why, in CamelCase.
    pub(super) reason: String,
    /// Why, in a sentence.
    pub(super) message: String,
    /// Whether the newest attempt has ended, and another one follows.
    pub(super) ended: bool,
}

/// Reason of a task whose attempt the API server doesn't let be created.
const NOT_CREATED: &str = "NotCreated";

/// How many tenants a message names.
const NAMED_TENANTS: usize = 5;

impl Plan<'_> {
    /// Checks the spec, and puts in the frozen fields where some are.
    pub(super) fn validate(&mut self, resolved: Result<&Job, &[Violation]>) -> Option<Job> {
        self.status().observed_generation = Some(self.generation);
        self.status().run = Some(self.uid.clone());
        if self.decision.status.start_time.is_none() {
            self.status().start_time = Some(self.now);
        }
        let mut job = match resolved {
            Ok(job) => job.clone(),
            Err(violations) => {
                let message = Violation::list(violations);
                self.set(kind::VALIDATED, false, "InvalidSpec", &message);
                // What runs was made from fields that were right.
                if self.running().next().is_none() && !self.is_finished() {
                    self.fail("InvalidSpec", &message);
                }
                return None;
            }
        };
        let mut changed = Vec::new();
        for frozen in self.decision.status.frozen.clone() {
            let current = FrozenPart::of_stage(frozen.stage, &job);
            if current.hash() == frozen.hash {
                // Whoever froze it may have died before it was written down.
                if !self.observed.frozen.contains(&current) {
                    self.act(Action::Freeze(Box::new(current)));
                }
                continue;
            }
            let kept = self
                .observed
                .frozen
                .iter()
                .find(|part| part.stage() == Some(frozen.stage) && part.hash() == frozen.hash);
            if let Some(part) = kept {
                part.clone().apply(&mut job);
                // Another release may resolve the same fields otherwise; only an edit is worth a word.
                if frozen.generation != self.generation {
                    changed.push(current.label().to_owned());
                }
            }
        }
        changed.extend(self.keep_tenants(&mut job));
        if changed.is_empty() {
            self.set(kind::VALIDATED, true, "Valid", "every field is understood");
        } else {
            let message = format!(
                "fields of {} were changed after work with them had begun, and are not heeded; make a new job, with training.resumeFrom to start from this run's parameters",
                changed.join(" and ")
            );
            self.set(kind::VALIDATED, false, "FrozenFieldChanged", message);
        }
        Some(job)
    }

    /// Puts the tenants' frozen fields in, and names what of them was changed.
    fn keep_tenants(&self, job: &mut Job) -> Option<String> {
        let mut changed = Vec::new();
        let complete = self.holds(kind::COMPLETE);
        for tenant in job.scoring.tenants.clone() {
            let Some(status) = self.tenant(&tenant.name) else { continue };
            let is_frozen = complete
                || status.phase.is_scored()
                || status.phase == TenantPhase::Scoring
                    && !self.lacks_something(&TaskKey::of_tenant(TaskKind::Score, &tenant.name));
            let Some(hash) = status.hash.as_ref().filter(|_| is_frozen) else { continue };
            if FrozenPart::of_tenant(&tenant, job).hash() == *hash {
                continue;
            }
            let Some(kept) = self.frozen_part(&tenant.name, hash) else { continue };
            kept.clone().apply(job);
            if status.generation != Some(self.generation) {
                changed.push(tenant.name);
            }
        }
        if complete {
            job.scoring.tenants.retain(|tenant| {
                let late = self.tenant(&tenant.name).is_none();
                if late {
                    changed.push(tenant.name.clone());
                }
                !late
            });
        }
        let others = changed.split_off(changed.len().min(NAMED_TENANTS)).len();
        match (changed.is_empty(), others) {
            (true, _) => None,
            (false, 0) => Some(format!("tenant {}", changed.join(", "))),
            (false, others) => Some(format!("tenant {} and {others} more", changed.join(", "))),
        }
    }

    /// Takes the job one step on.
    pub(super) fn advance(&mut self, job: &Job) {
        self.list_tenants(job);
        if self.holds(kind::COMPLETE) {
            // What is left is to publish, once somebody approves.
            self.approve(job);
            return;
        }
        if self.waits_for_former_pods() {
            return;
        }
        let stages: [fn(&mut Self, &Job) -> Standing; 5] =
            [Self::prepare, Self::train, Self::evaluate, Self::score, Self::collect];
        for stage in stages {
            match stage(self, job) {
                Standing::Working => return,
                Standing::Done => {}
                Standing::Stuck { reason, message } => return self.fail(&reason, &message),
            }
        }
        self.complete(job);
    }

    fn list_tenants(&mut self, job: &Job) {
        for tenant in &job.scoring.tenants {
            if self.tenant(&tenant.name).is_none() {
                let pending = TenantStatus { name: tenant.name.clone(), ..TenantStatus::default() };
                self.status().tenants.push(pending);
            }
        }
    }

    /// Drops tenants that the spec no longer names, once nothing runs for them.
    pub(super) fn forget_tenants(&mut self, job: &Job) {
        let named = |name: &str| job.scoring.tenants.iter().any(|tenant| tenant.name == name);
        let runs =
            |plan: &Self, name: &str| plan.running().any(|(attempt, _)| attempt.tenant.as_deref() == Some(name));
        let gone: Vec<String> = self
            .decision
            .status
            .tenants
            .iter()
            .filter(|tenant| !named(&tenant.name) && !runs(self, &tenant.name))
            .map(|tenant| tenant.name.clone())
            .collect();
        self.status().tenants.retain(|tenant| !gone.contains(&tenant.name));
    }

    /// After a suspension the next attempt waits for the former one's checkpoint, unless its node is away.
    fn waits_for_former_pods(&mut self) -> bool {
        let grace = self.configuration.timing.gone_grace;
        let suspended = self.attempts().iter().filter(|attempt| {
            let newest = self.newest(&TaskKey::of(attempt)).map(|newest| newest.number);
            attempt.outcome == Some(AttemptOutcome::Suspended) && newest == Some(attempt.number)
        });
        let Some(ended) = suspended.filter_map(|attempt| attempt.end_time).max() else { return false };
        // Pods are told to end some time after their Job is gone.
        let by = self.observed.lingering.iter().map(|pod| pod.gone_by.unwrap_or(ended) + grace).max();
        match by.filter(|by| *by > self.now) {
            Some(by) => {
                self.wake(by);
                true
            }
            None => false,
        }
    }

    fn prepare(&mut self, job: &Job) -> Standing {
        let key = TaskKey::of_job(TaskKind::Prepare);
        let missing = |plan: &Self, tenant: &Tenant| {
            plan.tenant(&tenant.name).is_none_or(|status| {
                status.prepared.as_deref() != Some(&short_hash(&tenant.value, 16))
                    || status.phase == TenantPhase::Preparing
            })
        };
        let some_missing = job.scoring.tenants.iter().any(|tenant| missing(self, tenant));
        if self.decision.status.dataset.is_some() && !self.is_frozen(Stage::Data) {
            // It was prepared by an attempt whose fields could still be edited.
            match self.newest(&key).is_some_and(|newest| self.is_edited(newest, job)) {
                true => self.status().dataset = None,
                false => self.freeze(Stage::Data, job),
            }
        }
        if self.decision.status.dataset.is_some() && !some_missing {
            return Standing::Done;
        }
        // Done for others, and a tenant came late.
        let again = self.next(&key, job) == Some(Next::Done);
        if again || matches!(self.next(&key, job), None | Some(Next::Again)) {
            for tenant in &job.scoring.tenants {
                let laid_out = short_hash(&tenant.value, 16);
                if missing(self, tenant)
                    && let Some(status) = self.tenant_mut(&tenant.name)
                {
                    status.phase = TenantPhase::Preparing;
                    status.prepared = Some(laid_out);
                }
            }
        }
        self.drive(&key, job, kind::PREPARED, again, |plan| plan.prepare_task(job))
    }

    fn train(&mut self, job: &Job) -> Standing {
        let key = TaskKey::of_job(TaskKind::Train);
        self.drive(&key, job, kind::TRAINED, false, |plan| plan.train_task(job))
    }

    fn evaluate(&mut self, job: &Job) -> Standing {
        let key = TaskKey::of_job(TaskKind::Evaluate);
        let standing = self.drive(&key, job, kind::GATES_PASSED, false, |plan| plan.evaluate_task(job));
        if standing != Standing::Done || self.holds(kind::GATES_PASSED) {
            return standing;
        }
        let message = self.condition(kind::GATES_PASSED).map(|gates| gates.message.clone()).unwrap_or_default();
        self.thaw(Stage::Gates);
        Standing::Stuck { reason: GATE_NOT_MET.into(), message }
    }

    fn collect(&mut self, job: &Job) -> Standing {
        let key = TaskKey::of_job(TaskKind::Collect);
        // What couldn't be collected takes room, no more; the next run collects it.
        if self.newest(&key).is_some_and(|newest| newest.reason.as_deref() == Some(UNSCHEDULABLE)) {
            return Standing::Done;
        }
        match self.drive(&key, job, kind::COMPLETE, false, |plan| plan.collect_task(job)) {
            Standing::Stuck { .. } => Standing::Done,
            other => other,
        }
    }

    fn complete(&mut self, job: &Job) {
        self.status().completion_time = Some(self.now);
        let failed =
            self.decision.status.tenants.iter().filter(|tenant| tenant.phase == TenantPhase::Failed).count();
        let message = match (failed, job.publish) {
            (0, PublishMode::Automatic) => "every tenant is scored and published".to_owned(),
            (0, PublishMode::Manual) => "every tenant is scored; publish.approved publishes".to_owned(),
            (failed, _) => format!("{failed} tenants failed, as many as rollout.maxFailedTenants allows"),
        };
        self.set(kind::COMPLETE, true, "Completed", &message);
        self.clear(kind::RESTARTING, "Completed", "the job has ended");
        self.note(false, "Completed", message);
    }

    /// Makes sure that a task is worked on, and says how it stands. `again` starts over what is done.
    pub(super) fn drive(
        &mut self,
        key: &TaskKey,
        job: &Job,
        condition: &str,
        again: bool,
        make: impl Fn(&Self) -> Made,
    ) -> Standing {
        match self.next(key, job) {
            Some(Next::Done) if !again => return Standing::Done,
            Some(Next::Again) if self.reads_outcome(key, job, &make) => {}
            None | Some(Next::Again | Next::Done) => {
                if let Some(stage) = stage_of(key.kind).filter(|_| !self.is_open(key)) {
                    self.freeze(stage, job);
                }
                let made = make(self);
                self.begin(key, made);
            }
            Some(Next::Running) => {
                self.ensure_started(key, make);
                if key.kind == TaskKind::Prepare {
                    match self.is_open(key) {
                        true => self.thaw(Stage::Data),
                        false => self.freeze(Stage::Data, job),
                    }
                }
            }
            Some(Next::AgainAt(at)) => {
                if self.is_open(key) {
                    self.thaw(Stage::Data);
                }
                self.wake(at);
            }
            Some(Next::GiveUp) => {
                if let Some(stage) = stage_of(key.kind) {
                    self.thaw(stage);
                }
                let attempt = self.newest(key);
                let reason = attempt.and_then(|attempt| attempt.reason.clone()).unwrap_or_default();
                let message = attempt.and_then(|attempt| attempt.message.clone()).unwrap_or_default();
                if !condition.is_empty() {
                    self.set(condition, false, &reason, &message);
                }
                return Standing::Stuck { reason, message };
            }
        }
        self.describe(key, condition);
        Standing::Working
    }

    /// Says in a condition what a task is waiting for, or that it runs.
    fn describe(&mut self, key: &TaskKey, condition: &str) {
        if condition.is_empty() {
            return;
        }
        let Some(attempt) = self.newest(key) else { return };
        let (number, child) = (attempt.number, self.child_of(attempt));
        let (reason, message) = match (self.hindrance(key), child) {
            (Some(Hindrance { reason, message, ended }), _) => {
                if ended {
                    self.set(kind::RESTARTING, true, &reason, &message);
                }
                (reason, message)
            }
            (None, Some(child)) => {
                if child.state == ChildState::Running && child.ready() > 0 {
                    self.clear(kind::RESTARTING, "Running", "an attempt runs");
                }
                ("Running".to_owned(), format!("attempt {number} runs"))
            }
            (None, None) => ("Starting".to_owned(), format!("attempt {number} is being created")),
        };
        self.set(condition, false, &reason, message);
    }

    /// Whether a task waits for what no field of the job makes: a file, a right, a secret. It may name another one
    /// meanwhile.
    pub(super) fn lacks_something(&self, key: &TaskKey) -> bool {
        let Some(attempt) = self.newest(key) else { return false };
        match attempt.outcome {
            Some(outcome) => outcome == AttemptOutcome::PermanentFailure,
            None => self.child_of(attempt).and_then(obstacle).is_some_and(|found| found.reason == SECRET_MISSING),
        }
    }

    /// Whether a preparation's fields may be edited: it lacks something, or tries again after it did. One that tries
    /// again ends soon and often, and whoever names another file shouldn't have to wait for a moment between two of them.
    fn is_open(&self, key: &TaskKey) -> bool {
        let Some(attempt) = self.newest(key).filter(|newest| newest.task == TaskKind::Prepare) else {
            return false;
        };
        let retries = attempt.outcome.is_none() && attempt.retrying_since.is_some();
        !attempt.mended && (retries || self.lacks_something(key))
    }

    /// What keeps a task from being worked on, where something does.
    pub(super) fn hindrance(&self, key: &TaskKey) -> Option<Hindrance> {
        let attempt = self.newest(key)?;
        let number = attempt.number;
        if attempt.outcome.is_some()
            && let Some(inspect) = self.inspection_of(attempt)
        {
            let reads = format!("attempt {number} is done, and a pod reads what came of it");
            let message = match self.hindrance(&inspect) {
                Some(Hindrance { message, .. }) => format!("{reads}: {message}"),
                None => reads,
            };
            return Some(Hindrance { reason: OUTCOME_UNREAD.to_owned(), message, ended: false });
        }
        if attempt.outcome.is_some() {
            let said = attempt.message.as_deref().unwrap_or_default();
            let message = format!("attempt {number} ended ({said}), the next one follows");
            return Some(Hindrance { reason: attempt.reason.clone().unwrap_or_default(), message, ended: true });
        }
        let Some(child) = self.child_of(attempt) else {
            let said = self.observed.impediment.as_ref().filter(|_| attempt.job_uid.is_none())?;
            let message = format!("attempt {number} can't be created, and is tried again and again: {said}");
            return Some(Hindrance { reason: NOT_CREATED.to_owned(), message, ended: false });
        };
        let (reason, message) = if !child.suspended {
            let obstacle = obstacle(child)?;
            (obstacle.reason, obstacle.message)
        } else if self.has_queue() {
            ("Queued", format!("attempt {number} waits for quota in its queue"))
        } else {
            let named = format!("Job {} is suspended, though the job names no queue", child.name);
            ("Queued", format!("{named}: resume it, or delete it"))
        };
        Some(Hindrance { reason: reason.to_owned(), message, ended: false })
    }

    /// Freezes a stage's fields. Of those that are frozen already, [`Plan::validate`] has seen to the ConfigMap.
    fn freeze(&mut self, stage: Stage, job: &Job) {
        if self.is_frozen(stage) {
            return;
        }
        let part = FrozenPart::of_stage(stage, job);
        let frozen = FrozenStage { stage, hash: part.hash(), generation: self.generation };
        self.status().frozen.push(frozen);
        if !self.observed.frozen.contains(&part) {
            self.act(Action::Freeze(Box::new(part)));
        }
    }

    /// Lets a stage's fields be changed again, since it failed with them.
    fn thaw(&mut self, stage: Stage) {
        self.status().frozen.retain(|frozen| frozen.stage != stage);
    }
}
