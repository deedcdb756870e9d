//! Which pods' logs are meant.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use teasel_api::request::{ATTEMPT_LABEL, TASK_LABEL, TENANT_LABEL, WORKER_CONTAINER};

use crate::arguments::LogsArguments;

/// Label by which Kubernetes tells the index of a pod in its Job.
const INDEX_LABEL: &str = "batch.kubernetes.io/job-completion-index";

/// The pods of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    task: String,
    tenant: Option<String>,
    attempt: u32,
    /// By worker; where a shard was tried again, in the order of time.
    pub(super) pods: Vec<PodChoice>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", attempt_name(&self.task, self.tenant.as_deref(), self.attempt))?;
        match self.pods.len() {
            1 => write!(formatter, ", pod {}", self.pods[0].name),
            several => write!(formatter, ", {several} pods"),
        }
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodChoice {
    /// Its name.
    pub(super) name: String,
    /// Its name without the job's.
    pub(super) short: String,
    /// Whether its worker has begun.
    pub(super) started: bool,
    /// What it waits for, if it hasn't.
    pub(super) waits_for: String,
}

/// Why there are no logs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPods {
    /// See the job's status.
    #[error("there are no pods; its status says why")]
    None,
    /// Choose another attempt.
    #[error("no pods are of that; there are pods of {0}")]
    Others(String),
}

/// The pods of the newest attempt at the newest task, of those that the command line allows.
pub(super) fn choose(pods: &[Pod], arguments: &LogsArguments) -> Result<Chosen, NoPods> {
    let all: Vec<Labelled> = pods.iter().filter_map(Labelled::read).collect();
    let is_meant = |pod: &&Labelled| {
        arguments.task.is_none_or(|task| task.as_str() == pod.task)
            && arguments.tenant.as_deref().is_none_or(|tenant| pod.tenant == Some(tenant))
            && arguments.attempt.is_none_or(|attempt| attempt == pod.attempt)
            && arguments.worker.is_none_or(|worker| pod.index == Some(worker))
    };
    let meant: Vec<&Labelled> = all.iter().filter(is_meant).collect();
    let Some(newest) = meant.iter().max_by_key(|pod| (pod.pod.creation_timestamp(), pod.attempt)) else {
        return Err(none(&all));
    };
    let same_task = |pod: &&&Labelled| (pod.task, pod.tenant) == (newest.task, newest.tenant);
    let attempt = meant.iter().filter(same_task).map(|pod| pod.attempt).max().unwrap_or(newest.attempt);
    let mut pods: Vec<&&Labelled> = meant.iter().filter(same_task).filter(|pod| pod.attempt == attempt).collect();
    pods.sort_by_key(|pod| (pod.index, pod.pod.creation_timestamp(), pod.pod.name_any()));
    Ok(Chosen {
        task: newest.task.to_owned(),
        tenant: newest.tenant.map(str::to_owned),
        attempt,
        pods: pods.into_iter().map(|pod| pod.choice()).collect(),
    })
}

fn none(all: &[Labelled]) -> NoPods {
    let names: BTreeSet<_> = all.iter().map(|pod| (pod.task, pod.tenant, pod.attempt)).collect();
    if names.is_empty() {
        return NoPods::None;
    }
    let names = names.into_iter().map(|(task, tenant, attempt)| attempt_name(task, tenant, attempt));
    NoPods::Others(names.collect::<Vec<_>>().join("; "))
}

fn attempt_name(task: &str, tenant: Option<&str>, attempt: u32) -> String {
    match tenant {
        Some(tenant) => format!("{task} of tenant {tenant}, attempt {attempt}"),
        None => format!("{task}, attempt {attempt}"),
    }
}

/// A pod of an attempt, with what its labels say.
struct Labelled<'a> {
    pod: &'a Pod,
    task: &'a str,
    tenant: Option<&'a str>,
    attempt: u32,
    index: Option<u32>,
}

impl<'a> Labelled<'a> {
    fn read(pod: &'a Pod) -> Option<Self> {
        let label = |name: &str| pod.labels().get(name).map(String::as_str);
        Some(Labelled {
            pod,
            task: label(TASK_LABEL)?,
            tenant: label(TENANT_LABEL),
            attempt: label(ATTEMPT_LABEL)?.parse().ok()?,
            index: label(INDEX_LABEL).and_then(|index| index.parse().ok()),
        })
    }

    fn choice(&self) -> PodChoice {
        let name = self.pod.name_any();
        // A job's name may hold the task's too.
        let short = name.rfind(&format!("-{}-", self.task)).map_or(name.as_str(), |start| &name[start + 1..]);
        PodChoice { short: short.to_owned(), started: has_started(self.pod), waits_for: waits_for(self.pod), name }
    }
}

/// Whether a pod's worker has begun, so that it has a log.
pub(super) fn has_started(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut workers = containers.filter(|container| container.name == WORKER_CONTAINER);
    workers.any(|worker| {
        let state = worker.state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    })
}

fn waits_for(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "it is new".into() };
    let containers = status.container_statuses.iter().flatten();
    let waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let unscheduled = status.conditions.iter().flatten().filter(|condition| condition.status == "False");
    let unscheduled = unscheduled.filter_map(|condition| condition.message.clone());
    let phase = status.phase.clone().unwrap_or_else(|| "Pending".into());
    waiting.chain(unscheduled).next().unwrap_or(phase)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn pod(hash: &str, minute: u32, task: &str, tenant: Option<&str>, attempt: u32, index: u32) -> Pod {
        let mut labels = json!({
            TASK_LABEL: task, ATTEMPT_LABEL: attempt.to_string(), INDEX_LABEL: index.to_string(),
        });
        if let Some(tenant) = tenant {
            labels[TENANT_LABEL] = json!(tenant);
        }
        serde_json::from_value(json!({"metadata": {
            "name": format!("my-train-job-0b5a7c1e-{task}-{attempt}-{index}-{hash}"), "labels": labels,
            "creationTimestamp": format!("2030-01-01T12:{minute:02}:00Z"),
        }}))
        .unwrap()
    }

    fn pods() -> Vec<Pod> {
        vec![
            pod("a", 0, "prepare", None, 1, 0),
            pod("b", 5, "train", None, 1, 0),
            pod("c", 9, "train", None, 2, 1),
            pod("d", 9, "train", None, 2, 0),
            pod("e", 20, "score", Some("campus"), 1, 0),
            pod("f", 21, "score", Some("city"), 1, 0),
            pod("g", 25, "score", Some("campus"), 1, 0),
            pod("h", 22, "score", Some("campus"), 1, 1),
        ]
    }

    fn arguments(flags: &[&str]) -> LogsArguments {
        match Arguments::try_parse_from([&["kubectl-teasel", "logs", "films"], flags].concat()).unwrap().command {
            Command::Logs(arguments) => arguments,
            other => unreachable!("{other:?}"),
        }
    }

    #[rstest]
    #[case::the_newest(&[], "score of tenant campus, attempt 1", &["score-1-0-e", "score-1-0-g", "score-1-1-h"])]
    #[case::a_tenants(&["--tenant", "city"], "score of tenant city, attempt 1", &["score-1-0-f"])]
    #[case::a_tasks_newest_attempt(&["--task", "train"], "train, attempt 2", &["train-2-0-d", "train-2-1-c"])]
    #[case::a_former_attempt(&["--task", "train", "--attempt", "1"], "train, attempt 1", &["train-1-0-b"])]
    #[case::one_worker(&["--task", "train", "--worker", "1"], "train, attempt 2", &["train-2-1-c"])]
    fn the_newest_attempt_is_meant_of_what_is_asked_for(
        #[case] flags: &[&str],
        #[case] name: &str,
        #[case] expected: &[&str],
    ) {
        let chosen = choose(&pods(), &arguments(flags)).unwrap();
        assert!(chosen.to_string().starts_with(name), "{chosen}");
        assert_eq!(chosen.pods.iter().map(|pod| pod.short.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_has_no_pods_is_answered_by_what_has() {
        let error = choose(&pods()[..3], &arguments(&["--attempt", "7"])).unwrap_err();
        assert_eq!(error, NoPods::Others("prepare, attempt 1; train, attempt 1; train, attempt 2".into()));
        assert_eq!(choose(&[], &arguments(&[])), Err(NoPods::None));
    }

    #[rstest]
    #[case::new(json!(null), false, "it is new")]
    #[case::no_place(
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "no node has room"},
        ]}),
        false,
        "no node has room"
    )]
    #[case::no_image(
        json!({"containerStatuses": [{"name": "worker", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}),
        false,
        "ImagePullBackOff"
    )]
    #[case::running(
        json!({"phase": "Running", "containerStatuses": [{"name": "worker", "ready": true, "restartCount": 0,
            "image": "", "imageID": "", "state": {"running": {}}}]}),
        true,
        "Running"
    )]
    fn a_pod_that_has_no_log_yet_says_what_it_waits_for(
        #[case] status: Value,
        #[case] started: bool,
        #[case] why: &str,
    ) {
        let mut pod = pod("a", 0, "train", None, 1, 0);
        pod.status = serde_json::from_value(status).unwrap();
        assert_eq!((has_started(&pod), waits_for(&pod).as_str()), (started, why));
    }
}
