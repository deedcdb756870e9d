//! Lives of jobs in a world of plain data: decisions are carried out, tasks end as a test says.
#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use teasel_api::outcome::{ExitCode, GATE_NOT_MET, NO_CUDA, NO_GPU, Outcome};
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
            lingering: Vec::new(),
            frozen: self.frozen.clone(),
            progress: None,
            lineage: Lineage { owner: "media/films".into(), ..Lineage::default() },
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
            _ => ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: String::new() },
        };
        for pod in &mut child.pods {
            pod.container = Container::Terminated {
                exit_code: exit as i32,
                reason: String::new(),
                finished: None,
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

#[test]
fn a_job_goes_through_its_stages_one_after_the_other() {
    let mut world = World::new(&["a", "b"], |_| {});
    world.settle();
    let stages = [
        (TaskKind::Prepare, Phase::Preparing),
        (TaskKind::Train, Phase::Training),
        (TaskKind::Evaluate, Phase::Evaluating),
    ];
    for (kind, phase) in stages {
        assert_eq!((world.running(), world.phase()), (vec![TaskKey::of_job(kind)], phase));
        world.succeed(kind);
    }
    assert_eq!((world.running(), world.phase()), (scores(&["a", "b"]), Phase::Scoring));
    world.score("a");
    assert_eq!(world.running(), scores(&["b"]));
    world.score("b");
    assert_eq!(world.running(), [TaskKey::of_job(TaskKind::Collect)]);
    world.succeed(TaskKind::Collect);
    assert_eq!((world.running(), world.phase()), (vec![], Phase::Succeeded));
    assert_eq!(world.reason_of("Published"), "True/Published");
    assert_eq!(world.status().published_tenants, Some(2));
}

#[test]
fn attempts_that_write_one_log_are_numbered_together() {
    let world = World::at_scoring(&["a"], |_| {});
    let numbers: Vec<(TaskKind, u32)> = world.started.iter().map(|(key, number, _)| (key.kind, *number)).collect();
    let expected = [(TaskKind::Prepare, 1), (TaskKind::Train, 1), (TaskKind::Evaluate, 2), (TaskKind::Score, 1)];
    assert_eq!(numbers, expected);
}

#[test]
fn an_operator_that_dies_between_status_and_action_changes_nothing() {
    let mut undisturbed = World::new(&["a", "b"], |_| {});
    let mut killed = World::new(&["a", "b"], |_| {});
    undisturbed.settle();
    for actions in [0, 1, 0, 2, 0, 1] {
        killed.step(actions);
    }
    killed.settle();
    for kind in [TaskKind::Prepare, TaskKind::Train, TaskKind::Evaluate] {
        undisturbed.succeed(kind);
        killed.end(&TaskKey::of_job(kind), ExitCode::Done, |outcome| {
            outcome.dataset = (kind == TaskKind::Prepare).then(|| "dataset".into());
        });
        for actions in [0, 1, 0, 1, 0, 0, 3] {
            killed.step(actions);
        }
        killed.settle();
    }
    assert_eq!(killed.started, undisturbed.started);
    assert_eq!(killed.frozen, undisturbed.frozen);
}

#[test]
fn a_job_of_an_attempt_that_somebody_deletes_is_made_good_for_free() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.children.retain(|child| child.key.kind != TaskKind::Train);
    world.settle();
    assert_eq!(world.started.last().map(|(key, number, _)| (key.kind, *number)), Some((TaskKind::Train, 2)));
    assert_eq!((world.status().restarts, world.status().disruptions.unwrap().total), (None, 1));
}

#[rstest]
#[case(ExitCode::BadData, 1)]
#[case(ExitCode::Bug, 4)]
fn a_permanent_failure_fails_at_once_and_any_other_when_the_policy_says(
    #[case] exit: ExitCode,
    #[case] attempts: usize,
) {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    for _ in 0..attempts {
        assert_eq!(world.phase(), Phase::Training);
        world.end(&TaskKey::of_job(TaskKind::Train), exit, |_| {});
        world.settle();
    }
    assert_eq!(world.phase(), Phase::Failed);
    assert_eq!(world.reason_of("Failed"), format!("True/{exit:?}"));
    // The message of whoever failed is what people read.
    let status = world.status();
    let failed = status.conditions.iter().find(|condition| condition.kind == "Failed").unwrap();
    assert_eq!(failed.message, "said so");
}

#[rstest]
#[case(NO_CUDA)]
#[case(NO_GPU)]
fn a_job_without_its_gpus_says_so_in_its_conditions(#[case] reason: &str) {
    let mut world = World::new(&["a"], |job| job["spec"]["training"]["device"] = json!("Cuda"));
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.end(&TaskKey::of_job(TaskKind::Train), ExitCode::BadConfiguration, |outcome| {
        outcome.reason = reason.into();
        outcome.message = "use a worker image with CUDA".into();
    });
    world.settle();
    assert_eq!(world.reason_of("Trained"), format!("False/{reason}"));
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Failed, format!("True/{reason}")));
    let status = world.status();
    let trained = status.conditions.iter().find(|condition| condition.kind == "Trained").unwrap();
    assert_eq!(trained.message, "use a worker image with CUDA");
}

#[test]
fn what_failed_for_good_goes_on_after_an_edit_of_its_own_fields_only() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::BadData, |_| {});
    world.settle();
    assert_eq!((world.phase(), world.status().frozen.len()), (Phase::Failed, 0));
    world.edit(|job| job["spec"]["ttlSecondsAfterFinished"] = json!(1_000_000));
    world.settle();
    assert_eq!(world.phase(), Phase::Failed);
    world.edit(|job| job["spec"]["data"]["interactions"]["columns"]["item"] = json!("movie"));
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Preparing, "False/Mended".into()));
    let Task::Prepare(task) = &world.started.last().unwrap().2 else { panic!("no prepare") };
    assert_eq!(task.data.interactions.columns.item, "movie");
}

#[test]
fn one_value_of_the_retry_annotation_is_one_retry() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    for (value, attempts) in [("once", 2), ("once", 2), ("twice", 3)] {
        if world.phase() != Phase::Failed {
            world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::BadData, |_| {});
            world.settle();
        }
        world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": value}));
        world.settle();
        assert_eq!(world.started.len(), attempts, "{value}");
    }
}

#[test]
fn a_gate_that_is_not_met_can_be_lowered() {
    let mut world =
        World::new(&["a"], |job| job["spec"]["gates"] = json!([{"metric": "ndcg@100", "minimum": 0.9}]));
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.succeed(TaskKind::Train);
    world.end(&TaskKey::of_job(TaskKind::Evaluate), ExitCode::Done, |outcome| outcome.reason = GATE_NOT_MET.into());
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Failed, "True/GateNotMet".into()));
    world.edit(|job| job["spec"]["gates"] = json!([{"metric": "ndcg@100", "minimum": 0.1}]));
    world.settle();
    let (key, number, _) = world.started.last().unwrap();
    assert_eq!((key.kind, *number), (TaskKind::Evaluate, 3));
}

#[test]
fn a_rollout_scores_so_many_tenants_at_once_and_stops_at_a_failure_too_many() {
    let mut world = World::at_scoring(&["a", "b", "c", "d"], |job| {
        job["spec"]["scoring"]["rollout"] = json!({"maxConcurrentTenants": 2});
    });
    assert_eq!(world.running(), scores(&["a", "b"]));
    world.score("a");
    assert_eq!(world.running(), scores(&["b", "c"]));
    world.end(&TaskKey::of_tenant(TaskKind::Score, "b"), ExitCode::BadConfiguration, |_| {});
    world.settle();
    // What runs may end; nothing new is begun.
    assert_eq!((world.running(), world.phase()), (scores(&["c"]), Phase::Scoring));
    world.score("c");
    assert_eq!((world.running(), world.phase()), (vec![], Phase::Failed));
    assert_eq!(world.reason_of("Failed"), "True/TenantsFailed");
    let phases: Vec<TenantPhase> = world.status().tenants.iter().map(|tenant| tenant.phase).collect();
    let expected = [TenantPhase::Published, TenantPhase::Failed, TenantPhase::Published, TenantPhase::Pending];
    assert_eq!(phases, expected);

    world.edit(|job| job["spec"]["scoring"]["tenants"][1]["output"]["uri"] = json!("s3://b/other"));
    world.settle();
    assert_eq!(world.running(), scores(&["b", "d"]));
}

#[test]
fn a_tenant_that_may_fail_keeps_nobody_from_completing() {
    let mut world = World::at_scoring(&["a", "b"], |job| {
        job["spec"]["scoring"]["rollout"] = json!({"maxFailedTenants": 1});
    });
    world.end(&TaskKey::of_tenant(TaskKind::Score, "a"), ExitCode::BadConfiguration, |_| {});
    world.settle();
    world.score("b");
    world.succeed(TaskKind::Collect);
    assert_eq!((world.phase(), world.reason_of("Scored")), (Phase::Succeeded, "False/TenantsFailed".into()));
}

#[test]
fn a_tenant_that_comes_late_is_prepared_first() {
    let mut world = World::at_scoring(&["a"], |_| {});
    world.edit(|job| {
        let late = json!({"name": "b", "output": {"uri": "s3://b/lists"}});
        job["spec"]["scoring"]["tenants"].as_array_mut().unwrap().push(late);
    });
    world.settle();
    assert!(world.running().contains(&TaskKey::of_job(TaskKind::Prepare)), "{:?}", world.running());
    world.succeed(TaskKind::Prepare);
    assert_eq!(world.running(), scores(&["a", "b"]));
}

#[test]
fn a_suspended_job_holds_nothing_and_resumes_with_another_attempt() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.edit(|job| job["spec"]["suspend"] = json!(true));
    world.settle();
    assert_eq!((world.running(), world.phase()), (vec![], Phase::Suspended));
    assert_eq!(world.status().active_since, None);
    world.edit(|job| job["spec"]["suspend"] = json!(false));
    world.settle();
    assert_eq!(world.phase(), Phase::Training);
    assert_eq!((world.started.last().unwrap().1, world.status().restarts), (2, None));
}

#[test]
fn a_job_in_a_queue_waits_at_no_cost_and_is_never_unsuspended_by_us() {
    let mut world = World::new(&["a"], |job| {
        job["metadata"]["labels"] = json!({QUEUE_LABEL: "team"});
        job["spec"]["activeDeadlineSeconds"] = json!(3600);
    });
    world.settle();
    assert_eq!((world.phase(), world.reason_of("QuotaReserved")), (Phase::Queued, "False/Queued".into()));
    world.now += SignedDuration::from_hours(100);
    world.settle();
    assert_eq!(world.phase(), Phase::Queued, "time in a queue doesn't count");
    world.children[0].suspended = false;
    world.children[0].since = world.now;
    world.settle();
    assert_eq!((world.phase(), world.reason_of("QuotaReserved")), (Phase::Preparing, "True/QuotaReserved".into()));
    // The queue takes it back, and the pods end with 143 meanwhile.
    world.children[0].suspended = true;
    world.settle();
    assert_eq!((world.phase(), world.made), (Phase::Queued, 1));
}

#[test]
fn a_deadline_counts_active_time_and_a_later_one_goes_on() {
    let mut world = World::new(&["a"], |job| job["spec"]["activeDeadlineSeconds"] = json!(600));
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.now += SignedDuration::from_secs(700);
    world.settle();
    assert_eq!((world.running(), world.reason_of("Failed")), (vec![], "True/DeadlineExceeded".into()));
    world.settle();
    world.edit(|job| job["spec"]["activeDeadlineSeconds"] = json!(6000));
    world.settle();
    assert_eq!(world.running(), [TaskKey::of_job(TaskKind::Train)]);
}

#[test]
fn an_approval_publishes_what_waits() {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    let Task::Score(task) = &world.started.last().unwrap().2 else { panic!("no score") };
    assert!(!task.publish);
    world.end(&TaskKey::of_tenant(TaskKind::Score, "a"), ExitCode::Done, |outcome| {
        outcome.reason = "AwaitingApproval".into();
        outcome.published = Some(false);
        outcome.score_hash = Some("hash".into());
    });
    world.settle();
    world.succeed(TaskKind::Collect);
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "False/AwaitingApproval".into()));
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    world.end(&TaskKey::of_tenant(TaskKind::Publish, "a"), ExitCode::Done, |outcome| {
        outcome.reason = "Published".into();
        outcome.published = Some(true);
    });
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "True/Published".into()));
}

#[rstest]
#[case::rollback(json!({"id": "1", "tenant": "a", "action": "Rollback", "run": "older", "hold": true}), "RolledBack", "NotPublished")]
#[case::nobody(json!({"id": "1", "tenant": "x", "action": "Release"}), "Refused", "Published")]
#[case::nonsense(json!({"id": "1", "tenant": "a", "action": "Undo"}), "Refused", "Published")]
fn a_request_is_answered_once(#[case] request: Value, #[case] outcome: &str, #[case] phase: &str) {
    let mut world = World::at_scoring(&["a"], |_| {});
    world.score("a");
    world.succeed(TaskKind::Collect);
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/publish-request": request.to_string()}));
    world.settle();
    if outcome != "Refused" {
        let key = TaskKey::of_tenant(TaskKind::Publish, "a");
        assert_eq!(world.running(), std::slice::from_ref(&key));
        world.end(&key, ExitCode::Done, |ended| {
            ended.reason = "RolledBack".into();
            ended.published = Some(true);
        });
        world.settle();
    }
    let status = world.status();
    assert_eq!(status.publish_request.unwrap().outcome.as_deref(), Some(outcome));
    assert_eq!(format!("{:?}", status.tenants[0].phase), phase);
    assert_eq!(world.running(), []);
}

#[test]
fn a_frozen_field_that_was_changed_all_the_same_is_not_heeded_and_named() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.edit(|job| job["spec"]["data"]["interactions"]["columns"]["item"] = json!("movie"));
    world.settle();
    assert_eq!(world.reason_of("Validated"), "False/FrozenFieldChanged");
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::Bug, |_| {});
    world.settle();
    let Task::Prepare(task) = &world.started.last().unwrap().2 else { panic!("no prepare") };
    assert_eq!(task.data.interactions.columns.item, "i");
}

#[test]
fn a_spec_that_is_wrong_fails_with_the_field_and_an_edit_mends_it() {
    let mut world = World::new(&["a"], |job| job["spec"]["storage"]["uri"] = json!("nowhere://x"));
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Failed, "True/InvalidSpec".into()));
    let status = world.status();
    assert!(status.conditions[0].message.contains("spec.storage.uri"), "{:?}", status.conditions);
    world.edit(|job| job["spec"]["storage"]["uri"] = json!("s3://teasel/films"));
    world.settle();
    assert_eq!(world.phase(), Phase::Preparing);
}
