//! What wakes a schedule, and one reconcile of it.
//!
//! Other than a job's, a schedule's actions come before its status: a tick's job has the tick's name, so creating it
//! again does nothing, and a status that says it ran must not be ahead of it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action as Requeue, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use teasel_api::request::PUBLISH_REQUEST_ANNOTATION;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob};

use super::{Action, ChildJob, Observed, build, decide};
use crate::context::{Context, LOOK_ANYWAY, is_conflict};
use crate::job::apply::{create_own, delete};
use crate::job::dereference::is_owned_by;
use crate::names::SCHEDULE_LABEL;

/// Why a reconcile is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// A tick's job has a name that somebody else's has.
    #[error("a RecommenderJob {0} exists and isn't this schedule's: rename it, and the tick starts")]
    NameTaken(String),
}

impl ReconcileError {
    fn is_conflict(&self) -> bool {
        matches!(self, ReconcileError::Kube(error) if is_conflict(error))
    }
}

/// Runs the controller for one namespace, or for all, until `stop`.
pub fn run(
    context: Arc<Context>,
    namespace: Option<String>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> impl Future<Output = ()> {
    let client = &context.client;
    let (schedules, jobs) = match namespace {
        Some(namespace) => (
            Api::namespaced(client.clone(), &namespace),
            Api::<RecommenderJob>::namespaced(client.clone(), &namespace),
        ),
        None => (Api::all(client.clone()), Api::all(client.clone())),
    };
    let concurrency = context.configuration.concurrency.max(1);
    Controller::new(schedules, watcher::Config::default())
        .with_config(Config::default().concurrency(concurrency))
        .owns(jobs, watcher::Config::default().labels(SCHEDULE_LABEL))
        .graceful_shutdown_on(stop)
        .run(measured, on_error, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!("{error}");
            }
        })
}

async fn measured(
    schedule: Arc<ScheduledRecommenderJob>,
    context: Arc<Context>,
) -> Result<Requeue, ReconcileError> {
    let started = Instant::now();
    let key = key(&schedule);
    let result = reconcile(&schedule, &context).await;
    let failure = result.as_ref().err().map(ReconcileError::is_conflict);
    context.reconciled("ScheduledRecommenderJob", &key, started.elapsed(), failure);
    result
}

async fn reconcile(schedule: &ScheduledRecommenderJob, context: &Context) -> Result<Requeue, ReconcileError> {
    let namespace = schedule.namespace().unwrap_or_default();
    let schedules = Api::<ScheduledRecommenderJob>::namespaced(context.client.clone(), &namespace);
    let jobs = Api::<RecommenderJob>::namespaced(context.client.clone(), &namespace);
    let Some(schedule) = schedules.get_opt(&schedule.name_any()).await? else { return Ok(Requeue::await_change()) };
    let of_schedule = ListParams::default().labels(&format!("{SCHEDULE_LABEL}={}", schedule.name_any()));
    let uid = schedule.uid().unwrap_or_default();
    let listed = jobs.list(&of_schedule).await?;
    let now = Timestamp::now();
    let observed = Observed {
        allowed_secrets: context.configuration.allowed_secrets.clone(),
        jobs: listed.items.iter().filter(|job| is_owned_by(*job, &uid)).map(ChildJob::from).collect(),
        schedule,
        now,
    };
    let decision = decide(&observed);
    for action in &decision.actions {
        match action {
            Action::Create { name, tick } => create(&jobs, &observed.schedule, name, *tick).await?,
            Action::Delete { name, uid } => delete(&jobs, name, Some(uid)).await?,
            Action::Ask { name, uid, request } => ask(&jobs, name, uid, request).await?,
        }
    }
    if observed.schedule.status.as_ref() != Some(&decision.status) {
        let mut changed = observed.schedule.clone();
        changed.status = Some(decision.status.clone());
        changed.metadata.managed_fields = None;
        schedules.replace_status(&changed.name_any(), &PostParams::default(), &changed).await?;
    }
    context.tell(&observed.schedule.object_ref(&()), &decision.notes).await;
    let wait = decision.look_again.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    // Never a moment too early, or the tick would only come at the next look.
    let wait = wait.map_or(LOOK_ANYWAY, |wait| (wait + Duration::from_millis(20)).min(LOOK_ANYWAY));
    Ok(Requeue::requeue(wait))
}

/// Hands a request to a job.
async fn ask(jobs: &Api<RecommenderJob>, name: &str, uid: &str, request: &str) -> Result<(), kube::Error> {
    // The UID is a precondition: another job of the name isn't patched.
    let patch = json!({"metadata": {"uid": uid, "annotations": {PUBLISH_REQUEST_ANNOTATION: request}}});
    match jobs.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

async fn create(
    jobs: &Api<RecommenderJob>,
    schedule: &ScheduledRecommenderJob,
    name: &str,
    tick: Timestamp,
) -> Result<(), ReconcileError> {
    let uid = schedule.uid().unwrap_or_default();
    match create_own(jobs, &build::job(schedule, tick), &uid).await? {
        true => Ok(()),
        false => Err(ReconcileError::NameTaken(name.to_owned())),
    }
}

fn on_error(schedule: Arc<ScheduledRecommenderJob>, error: &ReconcileError, context: Arc<Context>) -> Requeue {
    context.look_again(&key(&schedule), error, error.is_conflict())
}

fn key(schedule: &ScheduledRecommenderJob) -> String {
    format!("schedule {}/{}", schedule.namespace().unwrap_or_default(), schedule.name_any())
}
