//! What to do about a job: a pure function of what is there.
//!
//! Status is written before anything is created or deleted, so it may only ever be ahead of the cluster: an attempt
//! that stands in it and has no Job yet gets one, whoever looks next.

mod adopt;
mod conditions;
mod effects;
mod inspect;
mod pipeline;
mod requests;
mod start;
mod stops;
mod summary;
mod tenants;
#[cfg(test)]
mod tests;

pub(crate) use self::conditions::MESSAGE_BYTES;

use jiff::Timestamp;
use teasel_api::Violation;
use teasel_api::resolved::Job;
use teasel_api::spec::{AttemptStatus, PodTemplate, RecommenderJobSpec, RecommenderJobStatus, Stage, TenantStatus};
use teasel_api::task::Task;

use super::observed::{Child, Observed};
use super::restarts::{self, Next};
use super::stages::FrozenPart;
use crate::configuration::Configuration;
use crate::names;
use crate::task_key::TaskKey;

/// What is done, in this order: the status is written, then events are told, then the actions are carried out.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The new status.
    pub status: RecommenderJobStatus,
    /// What to create and delete.
    pub actions: Vec<Action>,
    /// What to tell people.
    pub notes: Vec<Note>,
    /// When time alone may change the decision.
    pub look_again: Option<Timestamp>,
}

/// Something to create or delete.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the fields of a stage down.
    Freeze(Box<FrozenPart>),
    /// Start an attempt.
    Start(Box<Start>),
    /// Delete an attempt's objects.
    DeleteAttempt {
        /// Their name.
        name: String,
        /// UID of the Job.
        uid: String,
    },
    /// Delete the job itself.
    DeleteJob,
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// What it is an attempt at.
    pub key: TaskKey,
    /// Its number.
    pub number: u32,
    /// Name of its objects.
    pub name: String,
    /// What its workers are asked to do.
    pub task: Task,
    /// Number of workers or shards.
    pub indexes: u32,
    /// How many of them run at once.
    pub parallelism: u32,
    /// The places that it reaches: the field's path, and the secret with its credentials.
    pub secrets: Vec<(String, String)>,
    /// The job's pod template.
    pub template: Option<PodTemplate>,
    /// Generation of the job.
    pub generation: i64,
    /// Queue that it waits in.
    pub queue: Option<String>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether people should worry.
    pub warning: bool,
    /// CamelCase reason.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Decides on a job. `resolved` is its spec with all defaults, or what is wrong with it.
pub fn decide(
    now: Timestamp,
    observed: &Observed,
    resolved: Result<&Job, &[Violation]>,
    configuration: &Configuration,
) -> Decision {
    let mut plan = Plan {
        now,
        observed,
        configuration,
        spec: &observed.job.spec,
        uid: observed.job.metadata.uid.clone().unwrap_or_default(),
        name: observed.job.metadata.name.clone().unwrap_or_default(),
        generation: observed.job.metadata.generation.unwrap_or_default(),
        decision: Decision { status: observed.job.status.clone().unwrap_or_default(), ..Decision::default() },
    };
    if observed.job.metadata.deletion_timestamp.is_some() {
        // Owner references see to the rest.
        return plan.decision;
    }
    plan.adopt();
    let job = plan.validate(resolved);
    if let Some(job) = &job {
        plan.mend(job);
        plan.forget_tenants(job);
    }
    match plan.stop() {
        stops::Stop::Go => {
            if let Some(job) = &job {
                plan.advance(job);
            }
        }
        stops::Stop::Stopped => {}
    }
    if let Some(job) = &job {
        plan.serve_requests(job);
    }
    plan.clean_up();
    plan.summarize();
    plan.decision
}

/// A decision in the making.
struct Plan<'a> {
    now: Timestamp,
    observed: &'a Observed,
    configuration: &'a Configuration,
    spec: &'a RecommenderJobSpec,
    uid: String,
    name: String,
    generation: i64,
    decision: Decision,
}

impl<'a> Plan<'a> {
    fn status(&mut self) -> &mut RecommenderJobStatus {
        &mut self.decision.status
    }

    fn attempts(&self) -> &[AttemptStatus] {
        &self.decision.status.attempts
    }

    /// The newest attempt at a task.
    fn newest(&self, key: &TaskKey) -> Option<&AttemptStatus> {
        self.attempts().iter().filter(|attempt| key.owns(attempt)).max_by_key(|attempt| attempt.number)
    }

    /// What comes after the newest attempt at a task; `None` where there was none.
    fn next(&self, key: &TaskKey, job: &Job) -> Option<Next> {
        let attempt = self.newest(key)?;
        let policy = &job.training.failure_policy;
        Some(restarts::next(self.now, attempt, policy, &self.configuration.timing, &self.uid))
    }

    /// The Job of an attempt.
    fn child_of(&self, attempt: &AttemptStatus) -> Option<&'a Child> {
        self.observed.children.iter().find(|child| child.is_of(attempt))
    }

    /// Attempts that haven't ended, with their Jobs.
    fn running(&self) -> impl Iterator<Item = (&AttemptStatus, Option<&'a Child>)> {
        let running = self.attempts().iter().filter(|attempt| attempt.outcome.is_none());
        running.map(|attempt| (attempt, self.child_of(attempt)))
    }

    /// The number that the next attempt at a task gets.
    fn next_number(&self, key: &TaskKey) -> u32 {
        let listed =
            self.attempts().iter().filter(|attempt| key.numbers_with(attempt.task, attempt.tenant.as_deref()));
        let listed = listed.map(|attempt| attempt.number).max().unwrap_or_default();
        let kept = key.tenant.as_deref().and_then(|tenant| self.tenant(tenant)?.attempt).unwrap_or_default();
        listed.max(kept) + 1
    }

    fn tenant(&self, name: &str) -> Option<&TenantStatus> {
        self.decision.status.tenants.iter().find(|tenant| tenant.name == name)
    }

    fn tenant_mut(&mut self, name: &str) -> Option<&mut TenantStatus> {
        self.decision.status.tenants.iter_mut().find(|tenant| tenant.name == name)
    }

    fn is_frozen(&self, stage: Stage) -> bool {
        self.decision.status.frozen.iter().any(|frozen| frozen.stage == stage)
    }

    fn wake(&mut self, at: Timestamp) {
        let sooner = self.decision.look_again.is_none_or(|before| at < before);
        if sooner {
            self.decision.look_again = Some(at);
        }
    }

    fn note(&mut self, warning: bool, reason: &str, message: impl Into<String>) {
        self.decision.notes.push(Note { warning, reason: reason.to_owned(), message: message.into() });
    }

    fn act(&mut self, action: Action) {
        self.decision.actions.push(action);
    }

    /// Deletes an attempt's objects, once.
    fn delete(&mut self, child: &Child) {
        self.delete_objects(child.name.clone(), child.uid.clone());
    }

    /// Deletes what is left of an attempt whose Job is gone.
    fn delete_recorded(&mut self, index: usize) {
        let attempt = &self.decision.status.attempts[index];
        let name = self.attempt_name(&TaskKey::of(attempt), attempt.number);
        let uid = attempt.job_uid.clone().unwrap_or_default();
        self.delete_objects(name, uid);
    }

    fn delete_objects(&mut self, name: String, uid: String) {
        let action = Action::DeleteAttempt { name, uid };
        if !self.decision.actions.contains(&action) {
            self.act(action);
        }
    }

    fn attempt_name(&self, key: &TaskKey, number: u32) -> String {
        names::attempt(&self.name, &self.uid, key, number)
    }
}
