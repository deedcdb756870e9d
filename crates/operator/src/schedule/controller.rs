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
use kube::core::{PartialObjectMeta, Status};
use kube::runtime::controller::{Action as Requeue, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use teasel_api::request::PUBLISH_REQUEST_ANNOTATION;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob};
use tokio::task::JoinSet;

use super::{Action, ChildJob, Decision, Observed, build, decide};
use crate::context::{Context, LONGEST_RECONCILE, LOOK_ANYWAY, is_conflict, is_refusal};
use crate::job::apply::{Created, create_own, delete};
use crate::job::decide::Note;
use crate::job::dereference::is_owned_by;
use crate::names::SCHEDULE_LABEL;
use crate::reading::{Fetched, fetch, list_jobs, metadata, owner};
use crate::server::Health;
use crate::watch_health::{self, Shown, Source, compare};

/// Why a reconcile is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// The API server took a request and didn't answer.
    #[error("the API server hasn't answered for {LONGEST_RECONCILE:?}")]
    Unanswered,
    /// A tick's job has a name that somebody else's has.
    #[error("a RecommenderJob {0} exists and isn't this schedule's: rename it, and the tick starts")]
    NameTaken(String),
    /// The API server doesn't take a tick's job: a quota, a webhook, a right that is missing.
    #[error("can't create job {name}: {source}")]
    Refused {
        /// Name of the job.
        name: String,
        /// The API server's words.
        source: Box<Status>,
    },
}

impl ReconcileError {
    /// Of creating the job `name`: what the API server has judged is for people, what it couldn't do is not.
    fn of_creating(name: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(source) if is_refusal(&source) => {
                ReconcileError::Refused { name: name.to_owned(), source }
            }
            other => other.into(),
        }
    }

    /// What people are told of it. Nobody asks why nothing starts in a namespace that is being deleted.
    fn note(&self) -> Option<Note> {
        match self {
            ReconcileError::Refused { source, .. } if is_terminating(source) => None,
            ReconcileError::NameTaken(_) | ReconcileError::Refused { .. } => {
                Some(Note { warning: true, reason: "FailedCreate".into(), message: self.to_string() })
            }
            ReconcileError::Kube(_) | ReconcileError::Unanswered => None,
        }
    }

    fn is_conflict(&self) -> bool {
        matches!(self, ReconcileError::Kube(error) if is_conflict(error))
    }
}

/// Whether nothing is taken since the namespace is being deleted.
fn is_terminating(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}

/// A schedule as watches show it: whatever its spec says, it can be read.
type Listed = PartialObjectMeta<ScheduledRecommenderJob>;

/// Runs the controller for one namespace, or for all, until `stop`, and says how its watches are.
pub fn run(
    context: Arc<Context>,
    namespace: Option<String>,
    health: &Arc<Health>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> impl Future<Output = ()> {
    let client = &context.client;
    let schedules = metadata::<ScheduledRecommenderJob>(client, namespace.as_deref());
    let jobs = metadata::<RecommenderJob>(client, namespace.as_deref());
    let concurrency = context.configuration.concurrency.max(1);
    let controller = Controller::new(schedules.clone(), watcher::Config::default());
    let shown = Arc::new(Shown::default());

    let mut compared = JoinSet::new();
    let called = |objects: &str| watch_health::name(objects, namespace.as_deref());
    let (source, watch) = (Source::Store(controller.store()), called("scheduledrecommenderjobs"));
    compared.spawn(compare(schedules, ListParams::default(), source, watch, Arc::clone(health)));
    let (source, watch) = (Source::Shown(Arc::clone(&shown)), called("recommenderjobs of schedules"));
    let of_schedules = ListParams::default().labels(SCHEDULE_LABEL);
    compared.spawn(compare(jobs.clone(), of_schedules, source, watch, Arc::clone(health)));

    let running = controller
        .with_config(Config::default().concurrency(concurrency))
        .watches(jobs, watcher::Config::default().labels(SCHEDULE_LABEL), move |job| {
            shown.note(&job);
            owner(&job)
        })
        .graceful_shutdown_on(stop)
        .run(measured, on_error, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!("{error}");
            }
        });
    async move {
        running.await;
        drop(compared);
    }
}

async fn measured(schedule: Arc<Listed>, context: Arc<Context>) -> Result<Requeue, ReconcileError> {
    let started = Instant::now();
    let key = key(&schedule);
    let result = tokio::time::timeout(LONGEST_RECONCILE, reconcile(&schedule, &context)).await;
    let result = result.unwrap_or(Err(ReconcileError::Unanswered));
    let failure = result.as_ref().err().map(ReconcileError::is_conflict);
    context.reconciled("ScheduledRecommenderJob", &key, started.elapsed(), failure);
    result
}

async fn reconcile(schedule: &Listed, context: &Context) -> Result<Requeue, ReconcileError> {
    let client = &context.client;
    let namespace = schedule.namespace().unwrap_or_default();
    let schedule: ScheduledRecommenderJob = match fetch(client, &namespace, &schedule.name_any()).await? {
        Fetched::Read(schedule) => *schedule,
        Fetched::Unreadable(unreadable) => {
            unreadable.report(context).await?;
            return Ok(Requeue::await_change());
        }
        Fetched::Gone => return Ok(Requeue::await_change()),
    };
    let schedules = Api::<ScheduledRecommenderJob>::namespaced(client.clone(), &namespace);
    let uid = schedule.uid().unwrap_or_default();
    let listed = list_jobs(client, &namespace, &format!("{SCHEDULE_LABEL}={}", schedule.name_any())).await?;
    let now = Timestamp::now();
    let observed = Observed {
        allowed_secrets: context.configuration.allowed_secrets.clone(),
        jobs: listed.iter().filter(|job| is_owned_by(&job.object, &uid)).map(ChildJob::from).collect(),
        schedule,
        now,
    };
    let decision = decide(&observed);
    for action in &decision.actions {
        let Err(error) = carry_out(client, &observed.schedule, action).await else { continue };
        // A tick that can't start keeps nobody else waiting: who asked for something gets an answer.
        if let Some(note) = error.note() {
            let rest = decision.refused(now, observed.schedule.metadata.generation, note);
            write_status(&schedules, &observed.schedule, &rest).await?;
            context.tell(&observed.schedule.object_ref(&()), &rest.notes).await;
        }
        return Err(error);
    }
    write_status(&schedules, &observed.schedule, &decision).await?;
    context.tell(&observed.schedule.object_ref(&()), &decision.notes).await;
    let wait = decision.look_again.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    // Never a moment too early, or the tick would only come at the next look.
    let wait = wait.map_or(LOOK_ANYWAY, |wait| (wait + Duration::from_millis(20)).min(LOOK_ANYWAY));
    Ok(Requeue::requeue(wait))
}

/// Writes the status, unless it is as it was.
async fn write_status(
    schedules: &Api<ScheduledRecommenderJob>,
    schedule: &ScheduledRecommenderJob,
    decision: &Decision,
) -> Result<(), kube::Error> {
    if schedule.status.as_ref() != Some(&decision.status) {
        let mut changed = schedule.clone();
        changed.status = Some(decision.status.clone());
        changed.metadata.managed_fields = None;
        schedules.replace_status(&changed.name_any(), &PostParams::default(), &changed).await?;
    }
    Ok(())
}

async fn carry_out(
    client: &Client,
    schedule: &ScheduledRecommenderJob,
    action: &Action,
) -> Result<(), ReconcileError> {
    let jobs = metadata::<RecommenderJob>(client, schedule.namespace().as_deref());
    match action {
        Action::Create { name, tick } => create(client, schedule, name, *tick).await?,
        Action::Delete { name, uid } => delete(&jobs, name, Some(uid)).await?,
        Action::Ask { name, uid, request } => ask(&jobs, name, uid, request).await?,
    }
    Ok(())
}

/// Hands a request to a job.
async fn ask(
    jobs: &Api<PartialObjectMeta<RecommenderJob>>,
    name: &str,
    uid: &str,
    request: &str,
) -> Result<(), kube::Error> {
    // The UID is a precondition: another job of the name isn't patched.
    let patch = json!({"metadata": {"uid": uid, "annotations": {PUBLISH_REQUEST_ANNOTATION: request}}});
    match jobs.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

async fn create(
    client: &Client,
    schedule: &ScheduledRecommenderJob,
    name: &str,
    tick: Timestamp,
) -> Result<(), ReconcileError> {
    let uid = schedule.uid().unwrap_or_default();
    let jobs = Api::<RecommenderJob>::namespaced(client.clone(), &schedule.namespace().unwrap_or_default());
    match create_own(&jobs, &build::job(schedule, tick), &uid).await {
        Ok(Created::There | Created::Unlabelled(_)) => Ok(()),
        Ok(Created::NameTaken) => Err(ReconcileError::NameTaken(name.to_owned())),
        Err(error) => Err(ReconcileError::of_creating(name, error)),
    }
}

fn on_error(schedule: Arc<Listed>, error: &ReconcileError, context: Arc<Context>) -> Requeue {
    context.look_again(&key(&schedule), error, error.is_conflict())
}

fn key(schedule: &Listed) -> String {
    format!("schedule {}/{}", schedule.namespace().unwrap_or_default(), schedule.name_any())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[rstest]
    #[case::a_quota(403, json!(null), Some("can't create job films-1: exceeded quota"))]
    #[case::a_webhook(400, json!(null), Some("can't create job films-1: exceeded quota"))]
    #[case::a_schema(422, json!(null), Some("can't create job films-1: exceeded quota"))]
    #[case::the_namespace_goes(403, json!({"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]}), None)]
    #[case::a_conflict(409, json!(null), None)]
    #[case::too_much_to_do(429, json!(null), None)]
    #[case::a_fault(500, json!(null), None)]
    fn people_are_told_what_the_api_server_has_judged(
        #[case] code: u16,
        #[case] details: Value,
        #[case] expected: Option<&str>,
    ) {
        let status = json!({"code": code, "message": "exceeded quota", "reason": "", "details": details});
        let error = kube::Error::Api(serde_json::from_value(status).unwrap());
        let note = ReconcileError::of_creating("films-1", error).note();
        assert_eq!(note.as_ref().map(|note| note.reason.as_str()), expected.map(|_| "FailedCreate"));
        let message = note.map(|note| note.message);
        assert!(message.as_deref().unwrap_or_default().starts_with(expected.unwrap_or_default()), "{message:?}");
    }
}
