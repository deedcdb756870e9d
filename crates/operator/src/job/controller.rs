//! What wakes a reconcile: the job, its Jobs, its pods.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use teasel_api::spec::RecommenderJob;
use tokio::task::JoinSet;

use super::reconcile::{ReconcileError, reconcile};
use crate::context::{Context, LONGEST_RECONCILE};
use crate::names::{JOB_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use crate::reading::{metadata, owner};
use crate::server::Health;
use crate::watch_health::{self, Shown, Source, compare};

/// A job as watches show it: whatever its spec says, it can be read.
type Listed = PartialObjectMeta<RecommenderJob>;

/// Runs the controller for one namespace, or for all, until `stop`, and says how its watches are.
pub fn run(
    context: Arc<Context>,
    namespace: Option<String>,
    health: &Arc<Health>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> impl Future<Output = ()> {
    let (client, namespace) = (&context.client, namespace.as_deref());
    let jobs = metadata::<RecommenderJob>(client, namespace);
    let children = metadata::<Job>(client, namespace);
    let pods = metadata::<Pod>(client, namespace);
    let label = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let (ours, listed) = (watcher::Config::default().labels(&label), ListParams::default().labels(&label));
    let controller = Controller::new(jobs.clone(), watcher::Config::default());
    let (shown_children, shown_pods) = (Arc::new(Shown::default()), Arc::new(Shown::default()));

    let mut compared = JoinSet::new();
    let called = |objects: &str| watch_health::name(objects, namespace);
    let source = Source::Store(controller.store());
    compared.spawn(compare(jobs, ListParams::default(), source, called("recommenderjobs"), Arc::clone(health)));
    let source = Source::Shown(Arc::clone(&shown_children));
    compared.spawn(compare(children.clone(), listed.clone(), source, called("jobs"), Arc::clone(health)));
    let source = Source::Shown(Arc::clone(&shown_pods));
    compared.spawn(compare(pods.clone(), listed, source, called("pods"), Arc::clone(health)));

    let concurrency = context.configuration.concurrency.max(1);
    let running = controller
        .with_config(Config::default().concurrency(concurrency))
        .watches(children, ours.clone(), move |child: PartialObjectMeta<Job>| {
            shown_children.note(&child);
            owner(&child)
        })
        .watches(pods, ours, move |pod: PartialObjectMeta<Pod>| {
            shown_pods.note(&pod);
            job_of(&pod)
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

/// The job that a pod belongs to.
fn job_of(pod: &PartialObjectMeta<Pod>) -> Option<ObjectRef<Listed>> {
    let name = pod.labels().get(JOB_LABEL)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

async fn measured(job: Arc<Listed>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let key = key(&*job);
    let result = tokio::time::timeout(LONGEST_RECONCILE, reconcile(job, Arc::clone(&context))).await;
    let result = result.unwrap_or(Err(ReconcileError::Unanswered));
    let failure = result.as_ref().err().map(ReconcileError::is_conflict);
    context.reconciled("RecommenderJob", &key, started.elapsed(), failure);
    result
}

fn on_error(job: Arc<Listed>, error: &ReconcileError, context: Arc<Context>) -> Action {
    context.look_again(&key(&*job), error, error.is_conflict())
}

/// What failures of a job's reconciles are counted by.
pub(super) fn key(job: &impl ResourceExt) -> String {
    format!("{}/{}", job.namespace().unwrap_or_default(), job.name_any())
}
