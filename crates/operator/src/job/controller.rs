//! What wakes a reconcile: the job, its Jobs, its pods.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use teasel_api::spec::RecommenderJob;

use super::reconcile::{ReconcileError, reconcile};
use crate::context::Context;
use crate::names::{JOB_LABEL, MANAGED_BY, MANAGED_BY_LABEL};

/// Runs the controller for one namespace, or for all, until `stop`.
///
/// The store that is returned at once holds the jobs that its watch has seen.
pub fn run(
    context: Arc<Context>,
    namespace: Option<String>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> (Store<RecommenderJob>, impl Future<Output = ()>) {
    let client = &context.client;
    let (jobs, children, pods) = match namespace {
        Some(namespace) => (
            Api::namespaced(client.clone(), &namespace),
            Api::<Job>::namespaced(client.clone(), &namespace),
            Api::<Pod>::namespaced(client.clone(), &namespace),
        ),
        None => (Api::all(client.clone()), Api::all(client.clone()), Api::all(client.clone())),
    };
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let controller = Controller::new(jobs, watcher::Config::default());
    let store = controller.store();
    let concurrency = context.configuration.concurrency.max(1);
    let running = controller
        .with_config(Config::default().concurrency(concurrency))
        .owns(children, ours.clone())
        .watches(pods, ours, |pod: Pod| job_of(&pod))
        .graceful_shutdown_on(stop)
        .run(measured, on_error, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!("{error}");
            }
        });
    (store, running)
}

/// The job that a pod belongs to.
fn job_of(pod: &Pod) -> Option<ObjectRef<RecommenderJob>> {
    let name = pod.labels().get(JOB_LABEL)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

async fn measured(job: Arc<RecommenderJob>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let key = key(&job);
    let result = reconcile(job, Arc::clone(&context)).await;
    let failure = result.as_ref().err().map(ReconcileError::is_conflict);
    context.reconciled("RecommenderJob", &key, started.elapsed(), failure);
    result
}

fn on_error(job: Arc<RecommenderJob>, error: &ReconcileError, context: Arc<Context>) -> Action {
    context.look_again(&key(&job), error, error.is_conflict())
}

fn key(job: &RecommenderJob) -> String {
    format!("{}/{}", job.namespace().unwrap_or_default(), job.name_any())
}
