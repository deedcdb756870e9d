//! Attempts: their task files, and what else their workers are given.

use teasel_api::location::Location;
use teasel_api::resolved::{Job, Place, PublishMode, Tenant};
use teasel_api::spec::TenantPhase;
use teasel_api::task::{
    CollectTask, EvaluateTask, Ownership, PrepareTask, PublishAction, PublishTask, ScoreTask, Task, TenantSelector,
    TrainTask,
};

use super::{Action, Plan, Start};
use crate::job::restarts;
use crate::job::stages::{FrozenPart, attempt_hash, stage_of, template_of};
use crate::names::QUEUE_LABEL;
use crate::task_key::TaskKey;

/// An attempt before it has a number.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// What its workers are asked to do.
    pub(super) task: Task,
    /// Workers or shards.
    pub(super) indexes: u32,
    /// How many at once.
    pub(super) parallelism: u32,
    /// The places that it reaches: path of the field, name of the secret.
    pub(super) secrets: Vec<(String, String)>,
    /// Hash over all that it is made from.
    pub(super) hash: String,
}

impl Plan<'_> {
    /// Begins an attempt: it stands in the status, and is created after that is written.
    pub(super) fn begin(&mut self, key: &TaskKey, made: Made) {
        let number = self.next_number(key);
        let previous = self.newest(key);
        let mut attempt = restarts::begin(self.now, key.kind, key.tenant.as_deref(), number, &made.hash, previous);
        attempt.generation = Some(self.generation_of_fields(key));
        self.note(false, "Started", format!("{key}, attempt {number}"));
        self.status().attempts.push(attempt);
        self.create(key, number, made);
    }

    /// `metadata.generation` of the fields that an attempt is made from: an older one where they are frozen.
    fn generation_of_fields(&self, key: &TaskKey) -> i64 {
        let status = &self.decision.status;
        let frozen = match &key.tenant {
            Some(tenant) => {
                let tenant = self.tenant(tenant).filter(|status| status.phase == TenantPhase::Scoring);
                tenant.and_then(|tenant| tenant.generation)
            }
            None => {
                let stage = stage_of(key.kind);
                let frozen = status.frozen.iter().find(|frozen| Some(frozen.stage) == stage);
                frozen.map(|frozen| frozen.generation)
            }
        };
        frozen.unwrap_or(self.generation)
    }

    /// Creates the newest attempt's objects, where whoever began it didn't come to it.
    pub(super) fn ensure_started(&mut self, key: &TaskKey, make: impl FnOnce(&Self) -> Made) {
        let Some(newest) = self.newest(key) else { return };
        if newest.job_uid.is_none() && self.child_of(newest).is_none() {
            let number = newest.number;
            let made = make(self);
            self.create(key, number, made);
        }
    }

    fn create(&mut self, key: &TaskKey, number: u32, made: Made) {
        let start = Start {
            key: key.clone(),
            number,
            name: self.attempt_name(key, number),
            indexes: made.indexes,
            parallelism: made.parallelism,
            secrets: made.secrets,
            template: template_of(made.task.subject(), self.spec).cloned(),
            generation: self.generation,
            task: made.task,
            queue: self.observed.job.metadata.labels.as_ref().and_then(|labels| labels.get(QUEUE_LABEL).cloned()),
        };
        self.act(Action::Start(Box::new(start)));
    }

    fn made(&self, task: Task, job: &Job, places: &[Place<'_>]) -> Made {
        let kind = task.kind();
        let part = match &task {
            Task::Score(score) => Some(FrozenPart::Tenant { tenant: score.tenant.clone(), shards: score.shards }),
            _ => stage_of(kind).map(|stage| FrozenPart::of_stage(stage, job)),
        };
        Made {
            task,
            indexes: 1,
            parallelism: 1,
            secrets: secrets(places),
            hash: attempt_hash(part.as_ref(), template_of(kind, self.spec)),
        }
    }

    fn ownership(&self) -> Ownership {
        Ownership { owner: self.observed.lineage.owner.clone(), sequence: self.observed.lineage.sequence }
    }

    pub(super) fn prepare_task(&self, job: &Job) -> Made {
        let tenants = job.scoring.tenants.iter();
        let task = PrepareTask {
            storage: job.storage.clone(),
            data: job.data.clone(),
            tenants: tenants
                .map(|tenant| TenantSelector { name: tenant.name.clone(), value: tenant.value.clone() })
                .collect(),
            // Filled in from the pod's limit.
            memory_bytes: 0,
            scratch: None,
        };
        self.made(Task::Prepare(task), job, &job.places())
    }

    pub(super) fn train_task(&self, job: &Job) -> Made {
        let task = TrainTask {
            run: self.uid.clone(),
            ownership: self.ownership(),
            job: job.clone(),
            dataset: self.decision.status.dataset.clone().unwrap_or_default(),
        };
        let workers = job.training.workers;
        Made { indexes: workers, parallelism: workers, ..self.made(Task::Train(task), job, &job.training_places()) }
    }

    pub(super) fn evaluate_task(&self, job: &Job) -> Made {
        let task = EvaluateTask {
            storage: job.storage.clone(),
            run: self.uid.clone(),
            evaluation: job.evaluation,
            gates: job.gates.clone(),
            published_run: self.observed.lineage.published_run.clone(),
        };
        self.made(Task::Evaluate(task), job, &[storage_place(&job.storage)])
    }

    pub(super) fn score_task(&self, job: &Job, tenant: &Tenant, shards: u32) -> Made {
        let task = ScoreTask {
            run: self.uid.clone(),
            ownership: self.ownership(),
            dataset: self.decision.status.dataset.clone().unwrap_or_default(),
            tenant: tenant.clone(),
            shards,
            publish: job.publish == PublishMode::Automatic,
            take_over: false,
            history: job.history.clone(),
        };
        Made {
            indexes: shards,
            parallelism: job.scoring.parallelism.min(shards),
            ..self.made(Task::Score(task), job, &tenant.places())
        }
    }

    pub(super) fn publish_task(&self, job: &Job, tenant: &Tenant, action: PublishAction) -> Made {
        let task = PublishTask {
            tenant: tenant.name.clone(),
            output: tenant.output.clone(),
            ownership: self.ownership(),
            action,
            history: job.history.clone(),
        };
        self.made(Task::Publish(task), job, &tenant.places())
    }

    pub(super) fn collect_task(&self, job: &Job) -> Made {
        let mut keep = self.observed.lineage.keep.clone();
        keep.push(self.uid.clone());
        let task = CollectTask {
            storage: job.storage.clone(),
            run: self.uid.clone(),
            owner: self.observed.lineage.owner.clone(),
            history: job.history.clone(),
            keep,
        };
        self.made(Task::Collect(task), job, &[storage_place(&job.storage)])
    }
}

fn storage_place(location: &Location) -> Place<'_> {
    Place { field: "storage", location }
}

/// Places that have a secret: the others are reached by the pod's own identity.
fn secrets(places: &[Place<'_>]) -> Vec<(String, String)> {
    let named = places.iter().filter_map(|place| Some((place.field, place.location.secret_ref.as_ref()?)));
    named.map(|(field, secret)| (field.to_owned(), secret.name.clone())).collect()
}
