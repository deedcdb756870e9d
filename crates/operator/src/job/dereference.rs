//! Reads everything that belongs to a job. Nothing is taken from a cache: after its own writes the operator must see
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerState, ContainerStatus, Event, Pod as CorePod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use teasel_api::outcome::Outcome;
use teasel_api::progress::Progress;
use teasel_api::spec::{RecommenderJob, ScheduledRecommenderJob, ScheduledRecommenderJobStatus};
use teasel_api::task::TaskKind;

use super::build::{FROZEN_KEY, TELEMETRY_PORT};
use super::controller::key;
use super::observed::{Child, ChildState, Container, Lineage, Observed, PODS_EXPECTED, Pod, Refusal};
use super::verdict::is_missing_task_file;
use crate::context::Context;
use crate::names::{
    ATTEMPT_LABEL, FROZEN_LABEL, JOB_UID_LABEL, SCHEDULE_LABEL, SCHEDULED_AT_ANNOTATION, TASK_LABEL, TENANT_LABEL,
    WORKER_CONTAINER,
};
use crate::reading::{self, ListedJob, list_jobs};
use crate::schedule::recorded;
use crate::task_key::TaskKey;

/// How long ago the kubelet may have told of trouble that still stands: it tries again every two minutes at least.
const TROUBLE_LASTS: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);
/// The same for pods that the Job controller couldn't create: it tries again every six minutes at least.
const REFUSAL_LASTS: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// How long a worker may take to say how far it is.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads what belongs to `job`.
///
/// # Errors
/// Where the API server can't be asked.
pub async fn dereference(context: &Context, now: Timestamp, job: RecommenderJob) -> Result<Observed, kube::Error> {
    let client = &context.client;
    let namespace = job.namespace().unwrap_or_default();
    let uid = job.uid().unwrap_or_default();
    let of_job = ListParams::default().labels(&format!("{JOB_UID_LABEL}={uid}"));
    let frozen = ListParams::default().labels(&format!("{JOB_UID_LABEL}={uid},{FROZEN_LABEL}"));
    let (jobs, pods) = (
        Api::<Job>::namespaced(client.clone(), &namespace),
        Api::<CorePod>::namespaced(client.clone(), &namespace),
    );
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let (jobs, frozen) = tokio::try_join!(jobs.list(&of_job), config_maps.list(&frozen))?;
    // The pods later: a Job that has failed is judged by how its pods ended, so they must not be older than it.
    let pods = pods.list(&of_job).await?;

    let mut by_job: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
    for pod in &pods.items {
        let owner = controller_of(pod).cloned().unwrap_or_default();
        let mut read = read_pod(pod);
        let of_job = by_job.entry(owner.uid).or_default();
        // One of a Job stands for all: asking is expensive.
        if read.is_slow_to_start(now) && !of_job.iter().any(|other: &Pod| other.is_slow_to_start(now)) {
            read.trouble = trouble(client, now, pod).await?;
            // Kubelets may find out late that it is there.
            if read.trouble.as_ref().is_some_and(|trouble| is_missing_task_file(trouble, &owner.name))
                && config_maps.get_metadata_opt(&owner.name).await?.is_some()
            {
                read.trouble = None;
            }
        }
        of_job.push(read);
    }
    let mut children = Vec::new();
    for child in jobs.items.iter().filter(|child| is_owned_by(*child, &uid)) {
        let pods = by_job.remove(&child.uid().unwrap_or_default()).unwrap_or_default();
        let Some(mut child) = read_child(child, pods) else { continue };
        if child.lacks_pods() && child.since + PODS_EXPECTED < now {
            child.refusal = refusal(client, now, &namespace, &child.uid).await?;
        }
        children.push(child);
    }
    let lingering = by_job.into_values().flatten().filter(|pod| !pod.has_ended()).collect();
    let frozen = frozen
        .items
        .iter()
        .filter(|map| is_owned_by(*map, &uid))
        .filter_map(|map| serde_json::from_str(map.data.as_ref()?.get(FROZEN_KEY)?).ok());
    let frozen = frozen.collect();
    let lineage = lineage(client, &namespace, &job).await?;
    let progress = progress(context, &uid, &children).await;
    let impediment = context.failures.told(&key(&job));
    Ok(Observed { job, children, lingering, frozen, progress, lineage, impediment })
}

/// The object that controls another.
pub fn controller_of(object: &impl kube::Resource) -> Option<&OwnerReference> {
    object.owner_references().iter().find(|owner| owner.controller == Some(true))
}

/// Whether the object's controller is the job with this UID: another of the same name is nobody's to touch.
pub fn is_owned_by<K: kube::Resource>(object: &K, uid: &str) -> bool {
    controller_of(object).is_some_and(|owner| owner.uid == uid)
}

fn read_child(job: &Job, pods: Vec<Pod>) -> Option<Child> {
    let spec = job.spec.as_ref()?;
    // The pods' labels, which nobody can change as long as the Job is there, unlike its own.
    let labels = spec.template.metadata.as_ref()?.labels.as_ref()?;
    let kind = serde_json::from_value(labels.get(TASK_LABEL)?.as_str().into()).ok()?;
    let status = job.status.clone().unwrap_or_default();
    let condition = |kinds: &[&str]| {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|condition| kinds.contains(&condition.type_.as_str()) && condition.status == "True")
            .cloned()
    };
    let state = if let Some(failed) = condition(&["Failed", "FailureTarget"]) {
        ChildState::Failed {
            reason: failed.reason.unwrap_or_default(),
            message: failed.message.unwrap_or_default(),
            at: failed.last_transition_time.map(|time| time.0),
        }
    } else if condition(&["Complete", "SuccessCriteriaMet"]).is_some() {
        ChildState::Succeeded
    } else {
        ChildState::Running
    };
    let count = |number: Option<i32>| number.and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    // A Job's start time is set anew when it is unsuspended.
    let created = job.creation_timestamp().map(|time| time.0);
    let since = status.start_time.map(|time| time.0).max(created)?;
    Some(Child {
        name: job.name_any(),
        uid: job.uid()?,
        key: TaskKey { kind, tenant: labels.get(TENANT_LABEL).cloned() },
        number: labels.get(ATTEMPT_LABEL)?.parse().ok()?,
        since,
        suspended: spec.suspend == Some(true),
        state,
        succeeded: status.succeeded.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        completions: count(spec.completions),
        parallelism: count(spec.parallelism),
        refusal: None,
        pods,
    })
}

fn read_pod(pod: &CorePod) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    let scheduled = condition("PodScheduled");
    let disruption = condition("DisruptionTarget").filter(|condition| condition.status == "True");
    let index = pod.annotations().get("batch.kubernetes.io/job-completion-index");
    let spec = pod.spec.as_ref();
    let worker = spec.and_then(|spec| spec.containers.iter().find(|container| container.name == WORKER_CONTAINER));
    let limits = worker.and_then(|worker| worker.resources.as_ref()?.limits.as_ref());
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let (workers, others): (Vec<_>, Vec<_>) = containers.partition(|status| status.name == WORKER_CONTAINER);
    let container = workers.first().map(|worker| read_container(worker)).unwrap_or_default();
    let has_failed = status.phase.as_deref() == Some("Failed");
    let container = match container {
        Container::Terminated { .. } => container,
        _ if has_failed => Container::Gone,
        _ => container,
    };
    Pod {
        created: pod.creation_timestamp().map(|time| time.0),
        name: pod.name_any(),
        index: index.and_then(|index| index.parse().ok()).unwrap_or_default(),
        address: status.pod_ip.clone(),
        scheduled: spec.is_some_and(|spec| spec.node_name.is_some()),
        unschedulable: scheduled
            .filter(|scheduled| scheduled.status == "False")
            .and_then(|scheduled| scheduled.message.clone()),
        ready: condition("Ready").is_some_and(|ready| ready.status == "True"),
        gone_by: pod.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        disruption: disruption
            .map(|found| (found.reason.clone().unwrap_or_default(), found.message.clone().unwrap_or_default())),
        reason: status.reason.clone(),
        message: status.message.clone(),
        memory_limit: limits.and_then(|limits| Some(limits.get("memory")?.0.clone())),
        container,
        others: others.into_iter().map(read_container).collect(),
        trouble: None,
    }
}

fn read_container(status: &ContainerStatus) -> Container {
    match status.state.clone().unwrap_or_default() {
        ContainerState { terminated: Some(ended), .. } => {
            let outcome = ended.message.as_deref().and_then(|text| serde_json::from_str::<Outcome>(text).ok());
            Container::Terminated {
                exit_code: ended.exit_code,
                reason: ended.reason.unwrap_or_default(),
                finished: ended.finished_at.map(|time| time.0),
                other: ended.message.filter(|_| outcome.is_none()),
                outcome: outcome.map(Box::new),
            }
        }
        ContainerState { running: Some(_), .. } => Container::Running,
        ContainerState { waiting: Some(waiting), .. } => Container::Waiting {
            reason: waiting.reason.unwrap_or_default(),
            message: waiting.message.unwrap_or_default(),
        },
        _ => Container::Unknown,
    }
}

/// Why the Job controller couldn't create pods: quota and Pod Security bite there, and only an event says so.
async fn refusal(
    client: &Client,
    now: Timestamp,
    namespace: &str,
    uid: &str,
) -> Result<Option<Refusal>, kube::Error> {
    let events = Api::<Event>::namespaced(client.clone(), namespace);
    let of_job = ListParams::default().fields(&format!("involvedObject.uid={uid},reason=FailedCreate"));
    let mut events = events.list(&of_job).await?.items;
    events.retain(|event| last_seen(event).is_some_and(|seen| seen + REFUSAL_LASTS > now));
    let since = events.iter().filter_map(|event| Some(event.first_timestamp.as_ref()?.0)).min();
    let newest = events.into_iter().max_by_key(last_seen);
    Ok(newest.and_then(|event| event.message).map(|message| Refusal { message, since }))
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    event.last_timestamp.as_ref().map(|time| time.0)
}

/// What the kubelet couldn't do for a pod lately: mount a volume, or set up its network.
async fn trouble(client: &Client, now: Timestamp, pod: &CorePod) -> Result<Option<String>, kube::Error> {
    let events = Api::<Event>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let of_pod = format!("involvedObject.uid={},type=Warning", pod.uid().unwrap_or_default());
    let events = events.list(&ListParams::default().fields(&of_pod)).await?.items;
    let lately = events.into_iter().filter(|event| last_seen(event).is_some_and(|seen| seen + TROUBLE_LASTS > now));
    let lately = lately.filter(|event| event.reason.as_deref() != Some("FailedScheduling"));
    Ok(lately.max_by_key(last_seen).and_then(|event| event.message))
}

async fn lineage(client: &Client, namespace: &str, job: &RecommenderJob) -> Result<Lineage, kube::Error> {
    let milliseconds = |time: Timestamp| time.as_millisecond();
    let created = job.creation_timestamp().map(|time| milliseconds(time.0)).unwrap_or_default();
    let schedule = controller_of(job).filter(|owner| owner.kind == "ScheduledRecommenderJob");
    let Some(schedule) = schedule else {
        let owner = format!("{namespace}/{}", job.name_any());
        return Ok(Lineage { owner, sequence: created, ..Lineage::default() });
    };
    let sequence = tick(job).map(milliseconds).unwrap_or(created);
    let resource = ApiResource::erase::<ScheduledRecommenderJob>(&());
    let schedules = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let of_schedule = format!("{SCHEDULE_LABEL}={}", schedule.name);
    let (found, siblings) =
        tokio::try_join!(schedules.get_opt(&schedule.name), list_jobs(client, namespace, &of_schedule))?;
    let status: ScheduledRecommenderJobStatus = found.as_ref().and_then(reading::status).unwrap_or_default();
    let needed_by_schedule = tick(job).is_some_and(|tick| !recorded(&status, tick));
    let published_run = status.last_published_run;
    let holds = |job: &ListedJob, kind: &str| {
        let conditions = job.status.iter().flat_map(|status| &status.conditions);
        conditions.clone().any(|condition| condition.kind == kind && condition.status == "True")
    };
    let others = siblings.iter().filter(|sibling| sibling.object.uid() != job.uid());
    let needed = others.clone().filter(|sibling| {
        let finished = holds(sibling, "Complete") || holds(sibling, "Failed");
        let published = sibling.status.as_ref().and_then(|status| status.published_tenants).unwrap_or_default() > 0;
        !finished || published
    });
    let keep = needed.filter_map(|sibling| sibling.object.uid()).chain(published_run.clone()).collect();
    let newer_published = others.clone().any(|sibling| {
        let sibling_sequence = tick(&sibling.object).map(milliseconds).unwrap_or_default();
        sibling_sequence > sequence && holds(sibling, "Published")
    });
    let owner = format!("{namespace}/{}", schedule.name);
    Ok(Lineage { owner, sequence, published_run, newer_published, needed_by_schedule, keep })
}

/// The tick that a job was made for.
fn tick(job: &impl kube::Resource) -> Option<Timestamp> {
    job.annotations().get(SCHEDULED_AT_ANNOTATION)?.parse().ok()
}

/// Asks worker 0 of the training attempt that runs how far it is. Losing it never fails a job.
async fn progress(context: &Context, uid: &str, children: &[Child]) -> Option<Progress> {
    let training =
        children.iter().filter(|child| child.key.kind == TaskKind::Train && child.state == ChildState::Running);
    let worker = training.max_by_key(|child| child.number)?.pods.iter().find(|pod| pod.index == 0)?;
    if !matches!(worker.container, Container::Running) {
        return None;
    }
    // A look that comes a little early is none too early.
    let interval = Duration::try_from(context.configuration.timing.progress).ok()?.mul_f64(0.9);
    if !context.asked.is_due(uid, interval) {
        return None;
    }
    let address: std::net::IpAddr = worker.address.as_ref()?.parse().ok()?;
    let authority = std::net::SocketAddr::new(address, u16::try_from(TELEMETRY_PORT).ok()?);
    let answer =
        context.http.get(format!("http://{authority}/progress")).timeout(PROGRESS_TIMEOUT).send().await.ok()?;
    let bytes = answer.error_for_status().ok()?.bytes().await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::refused_by_the_kubelet(json!({"phase": "Failed", "reason": "OutOfcpu"}), true)]
    #[case::on_a_lost_node(json!({"phase": "Failed", "containerStatuses": [status(json!({"running": {}}))]}), true)]
    #[case::to_start(json!({"phase": "Pending"}), false)]
    #[case::at_work(json!({"phase": "Running", "containerStatuses": [status(json!({"running": {}}))]}), false)]
    #[case::failed(
        json!({"phase": "Failed", "containerStatuses": [status(json!({"terminated": {"exitCode": 1}}))]}),
        false
    )]
    fn a_pod_that_failed_without_its_worker_is_gone(#[case] status: Value, #[case] gone: bool) {
        let pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap();
        assert_eq!(matches!(read_pod(&pod).container, Container::Gone), gone);
    }

    fn status(state: Value) -> Value {
        json!({
            "name": WORKER_CONTAINER, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        })
    }
}
