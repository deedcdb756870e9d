//! The stages of a run. Each looks at what is durable first, and does only what is missing.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::resolved::{Job, PublishMode, Tenant};
use teasel_api::task::{
    CollectTask, EvaluateTask, InspectTask, Ownership, PrepareTask, PublishAction, PublishTask, ScoreTask, Task,
    TaskKind, TenantSelector, TrainTask,
};
use teasel_storage::output::OutputLog;
use teasel_storage::run_log::RunLog;
use teasel_storage::{Patience, RunRecord, Store};

use super::attempts::{Next, cause, decide};
use super::local::Local;
use super::progress::{Display, Silent};
use crate::failure::Failure;
use crate::reference::open;
use crate::secrets::{Environment, Secrets};

/// Memory that prepare's queries may use before they spill.
const PREPARE_MEMORY: u64 = 1 << 30;
/// Pause before another attempt.
const BACKOFF: Duration = Duration::from_secs(1);

/// A tenant's part of the result.
pub(super) struct TenantResult {
    pub(super) name: String,
    pub(super) users: u64,
    pub(super) uri: String,
    /// `Published`, `AwaitingApproval`, `Held`, `Superseded`, ….
    pub(super) reason: String,
    pub(super) message: String,
}

/// Prepares the dataset and the tenants' users.
pub(super) async fn prepare(local: &mut Local, job: &Job, secrets: &Secrets) -> Result<Outcome, Failure> {
    let task = PrepareTask {
        storage: job.storage.clone(),
        data: job.data.clone(),
        tenants: job
            .scoring
            .tenants
            .iter()
            .map(|tenant| TenantSelector { name: tenant.name.clone(), value: tenant.value.clone() })
            .collect(),
        memory_bytes: PREPARE_MEMORY,
        scratch: Some(local.scratch().display().to_string()),
    };
    let mut display = Display::new("prepare");
    let outcome = local.task(Task::Prepare(task), 1, &secrets.environment(job.places()), &mut display).await?;
    display.end(&outcome.message);
    Ok(outcome)
}

/// One run and how far it has come.
pub(super) struct Stages<'a> {
    pub(super) local: Local,
    pub(super) job: &'a Job,
    pub(super) storage: Store,
    pub(super) secrets: &'a Secrets,
    pub(super) run: String,
    pub(super) ownership: Ownership,
    pub(super) dataset: String,
    /// Whether anything had to be done.
    pub(super) worked: bool,
}

impl Stages<'_> {
    async fn log(&self) -> Result<RunLog, Failure> {
        Ok(RunLog::open(&self.storage, &self.run).await?)
    }

    /// Where the report is.
    pub(super) async fn report(&self) -> Result<Option<String>, Failure> {
        let log = self.log().await?;
        Ok(log.state().report("report.html").map(|file| log.folder().uri_of(&file.name)))
    }

    fn job_environment(&self) -> Environment {
        self.secrets.environment(self.job.places())
    }

    /// Trains, in as many attempts as the failure policy allows.
    pub(super) async fn train(&mut self) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            let log = self.log().await?;
            if log.state().outcome_of(TaskKind::Train, "").is_some() {
                return Ok(());
            }
            self.worked = true;
            let training = &self.job.training;
            let task = TrainTask {
                run: self.run.clone(),
                ownership: self.ownership.clone(),
                job: self.job.clone(),
                dataset: self.dataset.clone(),
            };
            let ranks = training.workers * training.processes_per_worker;
            let attempt = log.state().next_attempt();
            let file = self.local.task_file(Task::Train(task), attempt, Local::cores() / ranks);
            let indices: Vec<u32> = (0..training.workers).collect();
            let rendezvous = free_address()?;
            let environment = self.secrets.environment(self.job.training_places());
            let mut display = Display::new("train");
            let outcomes =
                self.local.attempt(&file, &indices, Some(&rendezvous), &environment, &mut display).await?;
            let Some(outcome) = cause(&outcomes) else {
                return Err(Failure::new(ExitCode::Bug, "training without an outcome"));
            };
            display.end(&outcome.message);
            match decide(outcome.exit_code, failures, &training.failure_policy) {
                Next::Done => return Ok(()),
                Next::GiveUp => return Err(self.local.failed(outcome)),
                Next::Again => {
                    failures += 1;
                    eprintln!(
                        "attempt {attempt} failed ({}); going on from the newest checkpoint, failure {failures} of {}",
                        outcome.reason, training.failure_policy.max_failures
                    );
                    tokio::time::sleep(BACKOFF).await;
                }
            }
        }
    }

    /// Measures the model and decides the gates, unless the same has been asked before.
    pub(super) async fn evaluate(&mut self) -> Result<Outcome, Failure> {
        let log = self.log().await?;
        let task = EvaluateTask {
            storage: self.job.storage.clone(),
            run: self.run.clone(),
            evaluation: self.job.evaluation,
            gates: self.job.gates.clone(),
            published_run: self.published_before().await?,
        };
        if let Some(outcome) = log.state().outcome_of(TaskKind::Evaluate, &task.subject()) {
            return Ok(outcome.clone());
        }
        self.worked = true;
        let mut display = Display::new("evaluate");
        let attempt = log.state().next_attempt();
        let outcome = self.local.task(Task::Evaluate(task), attempt, &self.job_environment(), &mut display).await?;
        display.end(&outcome.message);
        Ok(outcome)
    }

    /// The newest run but this one that stands published for any tenant of this owner, and whose model is there.
    async fn published_before(&self) -> Result<Option<String>, Failure> {
        let mut standing = Vec::new();
        for tenant in &self.job.scoring.tenants {
            let log = OutputLog::open(&open(&tenant.output, "output", self.secrets, Patience::Outage)?).await?;
            let before = log.state().standing_before(&self.run).filter(|(_, ownership)| {
                ownership.owner == self.ownership.owner && ownership.sequence <= self.ownership.sequence
            });
            standing.extend(before.map(|(version, ownership)| (ownership.sequence, version.run.clone())));
        }
        standing.sort();
        for (_, run) in standing.into_iter().rev() {
            if self.storage.head(&format!("models/{run}/manifest.json")).await?.is_some() {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// Scores every tenant, shard by shard, and publishes where that is automatic.
    pub(super) async fn score(&mut self) -> Result<Vec<TenantResult>, Failure> {
        let mut results = Vec::new();
        let (mut failed, mut first) = (0, None);
        for tenant in &self.job.scoring.tenants {
            match self.score_tenant(tenant).await {
                Ok(result) => results.push(result),
                Err(failure @ Failure::Interrupted { .. }) => return Err(failure),
                Err(failure) => {
                    failed += 1;
                    eprintln!("tenant {}: {failure}", tenant.name);
                    first.get_or_insert(failure);
                    if failed > self.job.scoring.rollout.max_failed_tenants {
                        break;
                    }
                }
            }
        }
        first.map_or(Ok(results), Err)
    }

    async fn score_tenant(&mut self, tenant: &Tenant) -> Result<TenantResult, Failure> {
        let scoring = &self.job.scoring;
        let task = score_task(self.job, tenant, &self.run, &self.ownership, &self.dataset);
        let environment = self.secrets.environment(tenant.places());
        // `Scored` alone means that the pointer can be moved and isn't yet.
        let found = inspect_score(&mut self.local, &task, &environment).await?;
        if let Some(settled) = found.filter(|outcome| outcome.reason != "Scored") {
            return Ok(result(tenant, &settled));
        }
        self.worked = true;
        let mut display = Display::new(format!("score {}", tenant.name));
        let at_once = scoring.parallelism.min(Local::cores()).max(1);
        let shards: Vec<u32> = (0..scoring.shards).collect();
        let mut last = None;
        for indices in shards.chunks(at_once as usize) {
            let file = self.local.task_file(Task::Score(task.clone()), 1, Local::cores() / indices.len() as u32);
            let outcomes = self.local.attempt(&file, indices, None, &environment, &mut display).await?;
            if let Some(bad) = cause(&outcomes).filter(|outcome| outcome.exit_code != ExitCode::Done) {
                display.end(&bad.message);
                return Err(self.local.failed(bad));
            }
            // Whichever shard was last found all committed; the others know nothing of the whole.
            last = outcomes.into_iter().max_by_key(|outcome| outcome.users).or(last);
        }
        let last = last.ok_or_else(|| Failure::new(ExitCode::Bug, "scoring without an outcome"))?;
        display.end(&last.message);
        Ok(result(tenant, &last))
    }

    /// Collects former runs and finishes this one.
    pub(super) async fn collect(&mut self) -> Result<(), Failure> {
        let log = self.log().await?;
        if log.state().outcome_of(TaskKind::Collect, "").is_none() {
            self.worked = true;
            let mut keep = BTreeSet::from([self.run.clone()]);
            for tenant in &self.job.scoring.tenants {
                let log = OutputLog::open(&open(&tenant.output, "output", self.secrets, Patience::Outage)?).await?;
                keep.extend(log.state().current().map(|(_, version)| version.run.clone()));
            }
            let task = CollectTask {
                storage: self.job.storage.clone(),
                run: self.run.clone(),
                owner: self.ownership.owner.clone(),
                history: self.job.history.clone(),
                keep: keep.into_iter().collect(),
            };
            let attempt = log.state().next_attempt();
            self.local.task(Task::Collect(task), attempt, &self.job_environment(), &mut Silent).await?;
        }
        Ok(())
    }
}

/// The task that scores a tenant by a run's model.
fn score_task(job: &Job, tenant: &Tenant, run: &str, ownership: &Ownership, dataset: &str) -> ScoreTask {
    ScoreTask {
        run: run.to_owned(),
        ownership: ownership.clone(),
        dataset: dataset.to_owned(),
        tenant: tenant.clone(),
        shards: job.scoring.shards,
        publish: job.publish == PublishMode::Automatic,
        take_over: false,
        history: job.history.clone(),
    }
}

/// The outcome of a tenant's scoring, `None` where it isn't whole.
async fn inspect_score(
    local: &mut Local,
    task: &ScoreTask,
    environment: &Environment,
) -> Result<Option<Outcome>, Failure> {
    let inspect = Task::Inspect(InspectTask::Score { score: task.clone() });
    let file = local.task_file(inspect, 1, 1);
    let outcomes = local.attempt(&file, &[0], None, environment, &mut Silent).await?;
    Ok(outcomes.into_iter().next().filter(|outcome| outcome.exit_code == ExitCode::Done))
}

/// Hash of the lists that the job's settings give a tenant by the run of `record`, `None` where they aren't whole.
pub(crate) async fn scored_hash(
    local: &mut Local,
    job: &Job,
    record: &RunRecord,
    tenant: &Tenant,
    secrets: &Secrets,
) -> Result<Option<String>, Failure> {
    // Whether to publish is what is being decided.
    let asked = score_task(job, tenant, &record.run, &record.ownership, &record.dataset);
    let task = ScoreTask { publish: false, take_over: true, ..asked };
    let found = inspect_score(local, &task, &secrets.environment(tenant.places())).await?;
    Ok(found.and_then(|outcome| outcome.score_hash))
}

/// Moves one tenant's pointer.
pub(crate) async fn publish(
    local: &mut Local,
    job: &Job,
    tenant: &Tenant,
    ownership: Ownership,
    action: PublishAction,
    secrets: &Secrets,
) -> Result<Outcome, Failure> {
    let task = PublishTask {
        tenant: tenant.name.clone(),
        output: tenant.output.clone(),
        ownership,
        action,
        history: job.history.clone(),
    };
    let environment = secrets.environment(tenant.places());
    local.task(Task::Publish(task), 1, &environment, &mut Silent).await
}

fn result(tenant: &Tenant, outcome: &Outcome) -> TenantResult {
    TenantResult {
        name: tenant.name.clone(),
        users: outcome.users.unwrap_or_default(),
        uri: tenant.output.uri.clone(),
        reason: outcome.reason.clone(),
        message: outcome.message.clone(),
    }
}

/// An address of this machine that nobody listens at now.
fn free_address() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.to_string()).map_err(|error| Failure::local("can't find a free port", error))
}
