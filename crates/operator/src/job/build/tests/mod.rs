//! What is made for a job from its first attempt to its last, as the API server would get it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod failures;
mod network;
mod objects;
mod secrets;
mod security;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::spec::RecommenderJob;
use teasel_api::task::TaskKind;

use super::{attempt_job, pod_template};
use crate::configuration::Configuration;
use crate::job::decide::{Action, Start, decide};
use crate::job::observed::{Child, ChildState, Container, Lineage, Observed, Pod};
use crate::job::validate::validate;

const UID: &str = "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d";

pub(in crate::job) fn configuration(change: impl FnOnce(&mut Value)) -> Configuration {
    let resources = json!({"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "4Gi"}});
    let mut configuration = json!({
        "workerImage": "registry.example/worker:1",
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": ["pull"],
        "allowedSecrets": ["proxy"],
        "defaults": {"prepare": resources, "train": resources, "score": resources, "other": resources},
        "scratch": {"sizeLimit": "5Gi"},
    });
    change(&mut configuration);
    serde_json::from_value(configuration).unwrap()
}

/// A job for two tenants. Every place has credentials of its own.
pub(in crate::job) fn films(change: impl FnOnce(&mut Value)) -> RecommenderJob {
    let place = |uri: &str, secret: &str| json!({"uri": uri, "secretRef": {"name": secret}});
    let tenant = |name: &str| {
        json!({
            "name": name,
            "storage": {"secretRef": {"name": format!("{name}-storage")}},
            "output": place(&format!("s3://{name}/lists"), &format!("{name}-output")),
            "catalog": {"location": place(&format!("s3://{name}/catalog.csv"), &format!("{name}-catalog"))},
        })
    };
    let mut job = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
        "metadata": {"name": "films", "namespace": "media", "uid": UID, "generation": 1},
        "spec": {
            "storage": place("s3://teasel/films", "job-storage"),
            "data": {
                "interactions": {
                    "location": place("s3://lake/x.csv", "job-interactions"),
                    "columns": {"user": "u", "item": "i", "tenant": "t"},
                },
                "items": {"location": place("s3://lake/items.csv", "job-items"), "columns": {"item": "i"}},
            },
            "training": {"workers": 2},
            "scoring": {"shards": 3, "tenants": [tenant("city"), tenant("campus")]},
            // Publishing is a task of its own then.
            "publish": {"mode": "Manual"},
        },
    });
    change(&mut job);
    serde_json::from_value(job).unwrap()
}

/// The job on GPUs.
fn films_on_gpus() -> RecommenderJob {
    films(|job| job["spec"]["training"] = json!({"workers": 2, "processesPerWorker": 4, "device": "Cuda"}))
}

/// Every attempt of a job's life, which is approved when nothing else is left to do. With `unread`, no pod is left to ask how its task went: another reads that.
pub(in crate::job) fn attempts(mut job: RecommenderJob, configuration: &Configuration, unread: bool) -> Vec<Start> {
    let mut now = Timestamp::UNIX_EPOCH;
    let (mut started, mut children, mut frozen) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let observed = Observed {
            job: job.clone(),
            children: children.clone(),
            lingering: Vec::new(),
            impediment: None,
            frozen: frozen.clone(),
            progress: None,
            lineage: Lineage { owner: "media/films".into(), ..Lineage::default() },
        };
        let resolved = validate(&job, configuration).unwrap();
        let decision = decide(now, &observed, Ok(&resolved), configuration);
        if job.status.as_ref() == Some(&decision.status) && decision.actions.is_empty() {
            let approved = job.spec.publish.as_mut().and_then(|publish| publish.approved.replace(true));
            if approved == Some(true) {
                return started;
            }
        }
        job.status = Some(decision.status);
        for action in decision.actions {
            match action {
                Action::Freeze(part) => frozen.push(*part),
                Action::Start(start) => {
                    children.push(succeeded(&start, now, unread));
                    started.push(*start);
                }
                Action::DeleteAttempt { name, .. } => children.retain(|child| child.name != name),
                Action::DeleteJob => panic!("the job is deleted"),
            }
        }
        now += SignedDuration::from_secs(1);
    }
}

/// An attempt that has done what it is for.
fn succeeded(start: &Start, now: Timestamp, unread: bool) -> Child {
    let kind = start.task.subject();
    let reason = match kind {
        TaskKind::Score => "AwaitingApproval",
        TaskKind::Publish => "Published",
        _ => "Succeeded",
    };
    let mut outcome = Outcome::new(kind, start.number, ExitCode::Done, reason, "done");
    outcome.dataset = (kind == TaskKind::Prepare).then(|| "dataset".into());
    outcome.score_hash = (kind == TaskKind::Score).then(|| "lists".into());
    outcome.published = (kind == TaskKind::Publish).then_some(true);
    let container = Container::Terminated {
        exit_code: 0,
        reason: "Completed".into(),
        finished: None,
        other: None,
        outcome: Some(Box::new(outcome)),
    };
    let pod = Pod { scheduled: true, container, ..Pod::default() };
    let is_asked = !unread || start.key.kind == TaskKind::Inspect;
    Child {
        name: start.name.clone(),
        uid: format!("uid of {}", start.name),
        key: start.key.clone(),
        number: start.number,
        since: now,
        suspended: false,
        state: ChildState::Succeeded,
        succeeded: start.indexes,
        completions: start.indexes,
        parallelism: start.parallelism,
        refusal: None,
        pods: if is_asked { vec![pod] } else { Vec::new() },
    }
}

/// The first attempt at a task.
fn attempt(job: &RecommenderJob, configuration: &Configuration, kind: TaskKind) -> Start {
    let attempts = attempts(job.clone(), configuration, false);
    attempts.into_iter().find(|start| start.key.kind == kind).unwrap()
}

/// The pod of an attempt, as JSON.
fn pod(job: &RecommenderJob, configuration: &Configuration, start: &Start) -> Value {
    serde_json::to_value(pod_template(job, start, configuration).unwrap()).unwrap()
}

/// The Job of an attempt, as JSON.
fn job_object(job: &RecommenderJob, configuration: &Configuration, start: &Start) -> Value {
    let template = pod_template(job, start, configuration).unwrap();
    serde_json::to_value(attempt_job(job, start, template)).unwrap()
}

#[test]
fn a_life_has_attempts_at_all_tasks_and_one_that_nobody_could_ask_has_inspections_too() {
    let configuration = configuration(|_| {});
    let tasks = |unread| -> Vec<String> {
        let attempts = attempts(films(|_| {}), &configuration, unread);
        let mut tasks: Vec<String> = attempts.iter().map(|start| start.key.to_string()).collect();
        tasks.sort();
        tasks.dedup();
        tasks
    };
    let of_job = ["collect", "evaluate", "prepare"];
    let of_tenants =
        ["publish of tenant campus", "publish of tenant city", "score of tenant campus", "score of tenant city"];
    assert_eq!(tasks(false), [&of_job[..], &of_tenants[..], &["train"]].concat());
    let inspections = ["inspect", "inspect of tenant campus", "inspect of tenant city"];
    assert_eq!(tasks(true), [&of_job[..2], &inspections[..], &of_job[2..], &of_tenants[..], &["train"]].concat());
}
