//! Lives of jobs in a world of plain data: decisions are carried out, tasks end as a test says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod frozen;
mod fuzz;
mod inspections;
mod lives;
mod mending;
mod tenants;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use teasel_api::outcome::{ExitCode, GATE_NOT_MET, Outcome};
use teasel_api::spec::{Phase, RecommenderJob, RecommenderJobStatus, TenantPhase};
use teasel_api::task::{Task, TaskKind};

use super::{Action, decide};
use crate::configuration::Configuration;
use crate::job::observed::{Child, ChildState, Container, Lineage, Observed, Pod};
use crate::job::stages::FrozenPart;
use crate::job::validate::validate;
use crate::names::QUEUE_LABEL;
use crate::task_key::TaskKey;

const UID: &str = "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d";

struct World {
    now: Timestamp,
    job: RecommenderJob,
    children: Vec<Child>,
    frozen: Vec<FrozenPart>,
    configuration: Configuration,
    made: u32,
    /// Every attempt's task that was created, in order.
    started: Vec<(TaskKey, u32, Task)>,
    /// Pods whose Job is gone.
    lingering: Vec<Pod>,
    /// What keeps the operator from doing as it decides.
    impediment: Option<String>,
}

impl World {
    fn new(tenants: &[&str], change: impl FnOnce(&mut Value)) -> Self {
        let tenants: Vec<Value> = tenants
            .iter()
            .map(|name| json!({"name": name, "output": {"uri": format!("s3://{name}/lists")}}))
            .collect();
        let mut job = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {"name": "films", "namespace": "media", "uid": UID, "generation": 1},
            "spec": {
                "storage": {"uri": "s3://teasel/films"},
                "data": {"interactions": {
                    "location": {"uri": "s3://lake/x.csv"}, "columns": {"user": "u", "item": "i", "tenant": "t"},
                }},
                "training": {"workers": 2},
                "scoring": {"tenants": tenants},
            },
        });
        change(&mut job);
        World {
            now: Timestamp::UNIX_EPOCH,
            job: serde_json::from_value(job).unwrap(),
            children: Vec::new(),
            frozen: Vec::new(),
            configuration: serde_json::from_value(json!({"workerImage": "worker"})).unwrap(),
            made: 0,
            started: Vec::new(),
            lingering: Vec::new(),
            impediment: None,
        }
    }

    fn status(&self) -> RecommenderJobStatus {
        self.job.status.clone().unwrap_or_default()
    }

    fn phase(&self) -> Phase {
        self.status().phase.unwrap()
    }

    fn reason_of(&self, kind: &str) -> String {
        let status = self.status();
        let found = status.conditions.iter().find(|condition| condition.kind == kind);
        found.map_or_else(|| format!("no {kind}"), |found| format!("{}/{}", found.status, found.reason))
    }

    fn message_of(&self, kind: &str) -> String {
        let status = self.status();
        let found = status.conditions.iter().find(|condition| condition.kind == kind);
        found.map(|found| found.message.clone()).unwrap_or_default()
    }

    /// Lets the scheduler find no node for a pod of the task, and decides once.
    fn find_no_room(&mut self, key: &TaskKey) {
        let child = self.children.iter_mut().find(|child| child.key == *key).unwrap();
        child.pods[0] = Pod { unschedulable: Some("no node has room".into()), ..Pod::default() };
        self.step(usize::MAX);
    }

    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut job = serde_json::to_value(&self.job).unwrap();
        change(&mut job);
        self.job = serde_json::from_value(job).unwrap();
        *self.job.metadata.generation.get_or_insert(1) += 1;
    }

    fn decide(&self) -> super::Decision {
        let observed = Observed {
            job: self.job.clone(),
            children: self.children.clone(),
            lingering: self.lingering.clone(),
            frozen: self.frozen.clone(),
            progress: None,
            lineage: Lineage { owner: "media/films".into(), ..Lineage::default() },
            impediment: self.impediment.clone(),
        };
        let resolved = validate(&self.job, &self.configuration);
        decide(self.now, &observed, resolved.as_ref().map_err(Vec::as_slice), &self.configuration)
    }

    /// Decides once, and carries out the first `actions` of what was decided: an operator may die after any.
    fn step(&mut self, actions: usize) -> bool {
        self.now += SignedDuration::from_secs(1);
        let decision = self.decide();
        let changed = self.job.status.as_ref() != Some(&decision.status) || !decision.actions.is_empty();
        self.job.status = Some(decision.status);
        for action in decision.actions.into_iter().take(actions) {
            self.carry_out(action);
        }
        changed
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Freeze(part) if self.frozen.contains(&part) => {}
            Action::Freeze(part) => self.frozen.push(*part),
            Action::Start(start) if self.children.iter().any(|child| child.name == start.name) => {}
            Action::Start(start) => {
                self.made += 1;
                self.started.push((start.key.clone(), start.number, start.task.clone()));
                self.children.push(Child {
                    name: start.name,
                    uid: format!("uid-{}", self.made),
                    key: start.key,
                    number: start.number,
                    since: self.now,
                    suspended: start.queue.is_some(),
                    state: ChildState::Running,
                    succeeded: 0,
                    completions: start.indexes,
                    parallelism: start.parallelism,
                    refusal: None,
                    pods: (0..start.indexes)
                        .map(|index| Pod {
                            index,
                            scheduled: true,
                            container: Container::Running,
                            ..Pod::default()
                        })
                        .collect(),
                });
            }
            Action::DeleteAttempt { name, uid } => {
                self.children.retain(|child| child.name != name || child.uid != uid)
            }
            Action::DeleteJob => panic!("the job is deleted"),
        }
    }

    /// Decides until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..50 {
            // Pauses between attempts pass.
            self.now += SignedDuration::from_secs(60);
            if !self.step(usize::MAX) {
                return;
            }
        }
        panic!("it never settles: {:#?}", self.status());
    }

    fn running(&self) -> Vec<TaskKey> {
        let running = self.children.iter().filter(|child| child.state == ChildState::Running);
        running.map(|child| child.key.clone()).collect()
    }

    /// Ends the running attempt at a task with one of our exit codes.
    fn end(&mut self, key: &TaskKey, exit: ExitCode, change: impl FnOnce(&mut Outcome)) {
        let running =
            self.children.iter_mut().find(|child| child.key == *key && child.state == ChildState::Running);
        let child = running.unwrap_or_else(|| panic!("{key} doesn't run"));
        let mut outcome = Outcome::new(key.kind, child.number, exit, format!("{exit:?}"), "said so");
        change(&mut outcome);
        child.state = match exit {
            ExitCode::Done => ChildState::Succeeded,
            _ => ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: String::new(), at: None },
        };
        for pod in &mut child.pods {
            pod.container = Container::Terminated {
                exit_code: exit as i32,
                reason: String::new(),
                finished: None,
                other: None,
                outcome: Some(Box::new(outcome.clone())),
            };
        }
    }

    fn succeed(&mut self, kind: TaskKind) {
        self.end(&TaskKey::of_job(kind), ExitCode::Done, |outcome| {
            outcome.dataset = (kind == TaskKind::Prepare).then(|| "dataset".into());
        });
        self.settle();
    }

    fn score(&mut self, tenant: &str) {
        self.end(&TaskKey::of_tenant(TaskKind::Score, tenant), ExitCode::Done, |outcome| {
            outcome.reason = "Published".into();
            outcome.published = Some(true);
            outcome.users = Some(7);
            outcome.score_hash = Some("hash".into());
        });
        self.settle();
    }

    fn score_unpublished(&mut self, tenant: &str) {
        self.end_scoring_unpublished(tenant);
        self.settle();
    }

    /// The same, before anything is decided on it.
    fn end_scoring_unpublished(&mut self, tenant: &str) {
        self.end(&TaskKey::of_tenant(TaskKind::Score, tenant), ExitCode::Done, |outcome| {
            outcome.reason = "AwaitingApproval".into();
            outcome.published = Some(false);
            outcome.score_hash = Some("hash".into());
        });
    }

    fn publish(&mut self, tenant: &str) {
        self.end(&TaskKey::of_tenant(TaskKind::Publish, tenant), ExitCode::Done, |outcome| {
            outcome.reason = "Published".into();
            outcome.published = Some(true);
        });
        self.settle();
    }

    /// A world in which scoring has begun.
    fn at_scoring(tenants: &[&str], change: impl FnOnce(&mut Value)) -> Self {
        let mut world = World::new(tenants, change);
        world.settle();
        for kind in [TaskKind::Prepare, TaskKind::Train, TaskKind::Evaluate] {
            world.succeed(kind);
        }
        world
    }
}

fn scores(tenants: &[&str]) -> Vec<TaskKey> {
    tenants.iter().map(|tenant| TaskKey::of_tenant(TaskKind::Score, tenant)).collect()
}
