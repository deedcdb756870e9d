//! What fails, and how it goes on.

use rstest::rstest;
use serde_json::json;
use teasel_api::outcome::{NO_CUDA, NO_GPU};

use super::*;

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

#[test]
fn another_release_that_resolves_the_same_spec_otherwise_mends_nothing() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::BadData, |_| {});
    world.settle();
    let status = world.job.status.as_mut().unwrap();
    status.attempts.iter_mut().for_each(|attempt| attempt.hash = "of another release".into());
    world.settle();
    assert_eq!((world.phase(), world.started.len()), (Phase::Failed, 1));
}

/// A world whose training finds no node.
fn unplaced() -> World {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.children.last_mut().unwrap().pods[1] = Pod { index: 1, ..Pod::default() };
    world.step(usize::MAX);
    assert_eq!(world.reason_of("Trained"), "False/Unschedulable");
    world
}

#[test]
fn pods_that_cannot_start_are_made_anew_from_another_template_at_once() {
    let mut world = unplaced();
    world.edit(|job| job["spec"]["training"]["template"] = json!({"spec": {"nodeSelector": {"pool": "large"}}}));
    world.step(usize::MAX);
    assert_eq!(world.reason_of("Validated"), "True/Valid");
    let (key, number, _) = world.started.last().unwrap();
    assert_eq!((key.kind, *number, world.running().len()), (TaskKind::Train, 2, 1));
    assert_eq!(world.status().restarts, None);
}

#[test]
fn pods_that_cannot_start_are_made_anew_by_a_retry_at_once() {
    let mut world = unplaced();
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": "now"}));
    world.step(usize::MAX);
    assert_eq!(world.started.last().unwrap().1, 2);
    world.step(usize::MAX);
    assert_eq!(world.started.last().unwrap().1, 2);
}

#[test]
fn pods_that_work_are_left_alone_by_an_edit_of_their_template_and_by_a_retry() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.edit(|job| {
        job["spec"]["data"]["template"] = json!({"spec": {"nodeSelector": {"pool": "large"}}});
        job["metadata"]["annotations"] = json!({"teasel.dev/retry": "now"});
    });
    world.settle();
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_policy_that_allows_more_lets_a_failed_job_go_on() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    for _ in 0..4 {
        world.end(&TaskKey::of_job(TaskKind::Train), ExitCode::Bug, |_| {});
        world.settle();
    }
    assert_eq!(world.phase(), Phase::Failed);
    world.edit(|job| job["spec"]["training"]["failurePolicy"] = json!({"maxFailures": 4}));
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Training, "False/Mended".into()));
}

#[test]
fn tenants_that_failed_are_allowed_by_a_rollout_that_was_changed() {
    let mut world = World::at_scoring(&["a", "b"], |_| {});
    world.score("b");
    world.end(&TaskKey::of_tenant(TaskKind::Score, "a"), ExitCode::BadData, |_| {});
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Failed, "True/TenantsFailed".into()));
    world.edit(|job| job["spec"]["scoring"]["rollout"] = json!({"maxFailedTenants": 1}));
    world.settle();
    assert_eq!(world.reason_of("Failed"), "False/Mended");
    world.succeed(TaskKind::Collect);
    assert_eq!(world.phase(), Phase::Succeeded);
}

#[test]
fn a_tenants_place_can_be_corrected_while_what_it_lacks_is_waited_for() {
    let key = TaskKey::of_tenant(TaskKind::Score, "a");
    let refused = |world: &mut World| world.end(&key, ExitCode::PermissionDenied, |_| {});
    let hangs = |world: &mut World| {
        let child = world.children.iter_mut().find(|child| child.key == key).unwrap();
        let (reason, message) = ("CreateContainerConfigError".into(), "secret \"a\" not found".into());
        child.pods[0].container = Container::Waiting { reason, message };
    };
    for lack in [&refused as &dyn Fn(&mut World), &hangs] {
        let mut world = World::at_scoring(&["a"], |_| {});
        lack(&mut world);
        world.step(usize::MAX);
        world.edit(|job| job["spec"]["scoring"]["tenants"][0]["output"]["uri"] = json!("s3://a/right"));
        world.step(usize::MAX);
        world.step(usize::MAX);
        let (_, number, Task::Score(task)) = world.started.last().unwrap() else { panic!("no score") };
        assert_eq!((*number, task.tenant.output.uri.as_str()), (2, "s3://a/right"));
        assert_eq!(world.reason_of("Validated"), "True/Valid");
        assert_eq!(world.running(), std::slice::from_ref(&key));
    }
}

#[test]
fn what_is_left_of_a_job_that_somebody_deleted_goes_though_the_operator_died() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.children.clear();
    let deletes = |world: &World| {
        let mut actions = world.decide().actions.into_iter();
        actions.any(|action| matches!(action, Action::DeleteAttempt { uid, .. } if uid == "uid-1"))
    };
    assert!(deletes(&world));
    world.step(0);
    assert!(deletes(&world), "nobody has done it");
    world.settle();
    assert!(!deletes(&world), "the next attempt's Job is there");
}

#[test]
fn what_was_made_for_an_attempt_that_never_got_its_job_goes_when_it_is_ended() {
    let mut world = World::new(&["a"], |_| {});
    // The attempt stands in the status; the operator died before the Job, and maybe after the task file.
    world.step(0);
    assert!(world.children.is_empty() && !world.status().attempts.is_empty());
    let deletes = |world: &World| {
        let mut actions = world.decide().actions.into_iter();
        actions.any(|action| matches!(action, Action::DeleteAttempt { .. }))
    };
    assert!(!deletes(&world), "it is still to be made");
    world.edit(|job| job["spec"]["suspend"] = json!(true));
    world.step(0);
    assert!(deletes(&world));
    world.edit(|job| job["spec"]["suspend"] = json!(false));
    world.settle();
    assert!(!deletes(&world), "the next attempt's Job is there");
}

#[test]
fn a_place_can_be_corrected_while_what_it_lacks_is_waited_for() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    assert_eq!(world.status().frozen.len(), 1);
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::InputMissing, |_| {});
    world.step(usize::MAX);
    assert_eq!((world.status().frozen.len(), world.phase()), (0, Phase::Preparing));
    world.edit(|job| job["spec"]["data"]["interactions"]["location"]["uri"] = json!("s3://lake/y.csv"));
    // At once: nobody has to wait for the pause to end.
    world.step(usize::MAX);
    world.step(usize::MAX);
    let (_, number, Task::Prepare(task)) = world.started.last().unwrap() else { panic!("no prepare") };
    assert_eq!((*number, task.data.interactions.location.uri.as_str()), (2, "s3://lake/y.csv"));
    assert_eq!(world.reason_of("Validated"), "True/Valid");
}

/// A world whose preparation tries again after it lacked something.
fn retrying() -> World {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::InputMissing, |_| {});
    world.settle();
    assert_eq!((world.started.len(), world.phase(), world.status().frozen.len()), (2, Phase::Preparing, 0));
    world
}

#[test]
fn a_place_can_be_corrected_while_another_attempt_looks_for_what_it_lacked() {
    let mut world = retrying();
    world.edit(|job| job["spec"]["data"]["interactions"]["location"]["uri"] = json!("s3://lake/y.csv"));
    world.settle();
    let (_, number, Task::Prepare(task)) = world.started.last().unwrap() else { panic!("no prepare") };
    assert_eq!((*number, task.data.interactions.location.uri.as_str()), (3, "s3://lake/y.csv"));
    assert_eq!((world.reason_of("Validated"), world.status().frozen.len()), ("True/Valid".into(), 1));
}

#[test]
fn what_an_attempt_has_prepared_that_found_what_was_lacking_is_frozen() {
    let mut world = retrying();
    world.succeed(TaskKind::Prepare);
    assert_eq!((world.phase(), world.status().frozen.len()), (Phase::Training, 2));
}

#[test]
fn what_was_prepared_from_fields_that_were_edited_meanwhile_is_prepared_again() {
    let mut world = retrying();
    world.end(&TaskKey::of_job(TaskKind::Prepare), ExitCode::Done, |outcome| {
        outcome.dataset = Some("dataset".into());
    });
    world.edit(|job| job["spec"]["data"]["interactions"]["location"]["uri"] = json!("s3://lake/y.csv"));
    world.settle();
    let (_, number, Task::Prepare(task)) = world.started.last().unwrap() else { panic!("no prepare") };
    assert_eq!((*number, task.data.interactions.location.uri.as_str()), (3, "s3://lake/y.csv"));
    assert_eq!((world.phase(), world.status().dataset.is_none()), (Phase::Preparing, true));
    world.succeed(TaskKind::Prepare);
    assert_eq!(world.phase(), Phase::Training);
}

#[test]
fn what_was_to_end_does_though_the_operator_died_before_it_told_anybody() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.edit(|job| job["spec"]["suspend"] = json!(true));
    world.step(0);
    assert_eq!(world.running(), [TaskKey::of_job(TaskKind::Train)]);
    world.settle();
    assert_eq!((world.running(), world.phase()), (Vec::new(), Phase::Suspended));
}

#[test]
fn what_keeps_a_tenant_from_being_scored_is_told() {
    let mut world = World::at_scoring(&["a", "b"], |_| {});
    world.find_no_room(&TaskKey::of_tenant(TaskKind::Score, "b"));
    assert_eq!(world.reason_of("Scored"), "False/Unschedulable");
    let (status, said) = (world.status(), world.message_of("Scored"));
    assert!(said.contains("b: ") && said.contains("no node has room"), "{said}");
    assert!(status.tenants[1].message.as_ref().unwrap().contains("no node has room"), "{:?}", status.tenants);
    // That is no restart, of which there is one only when an attempt has ended.
    assert_eq!(world.reason_of("Restarting"), "no Restarting");
    world.end(&TaskKey::of_tenant(TaskKind::Score, "a"), ExitCode::StorageUnavailable, |_| {});
    world.step(usize::MAX);
    assert_eq!(world.reason_of("Restarting"), "True/StorageUnavailable");
}

#[test]
fn what_the_api_server_does_not_let_be_created_is_told_until_it_does() {
    let mut world = World::new(&["a"], |_| {});
    world.step(0);
    world.impediment = Some("failed calling webhook \"jobs\"".into());
    world.step(0);
    assert_eq!(world.reason_of("Prepared"), "False/NotCreated");
    let said = world.message_of("Prepared");
    assert!(said.contains("attempt 1 can't be created") && said.contains("failed calling webhook"), "{said}");
    world.impediment = None;
    world.settle();
    assert_eq!(world.reason_of("Prepared"), "False/Running");
}

#[test]
fn an_attempt_that_follows_a_suspension_waits_for_pods_that_are_not_told_to_end_yet() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.edit(|job| job["spec"]["suspend"] = json!(true));
    world.step(usize::MAX);
    // The garbage collector hasn't come to it.
    world.lingering = vec![Pod { container: Container::Running, ..Pod::default() }];
    world.edit(|job| job["spec"]["suspend"] = json!(false));
    world.step(usize::MAX);
    assert_eq!((world.started.len(), world.running().len()), (1, 0));
    let gone = world.now + SignedDuration::from_secs(20);
    world.lingering[0].gone_by = Some(gone);
    while world.now < gone + SignedDuration::from_secs(5) {
        world.step(usize::MAX);
        assert_eq!(world.started.len(), 1, "its node may be away for a moment");
    }
    world.lingering.clear();
    world.settle();
    assert_eq!(world.started.len(), 2);
}

#[test]
fn what_takes_pods_away_is_known_when_they_are_gone() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    let child = world.children.last_mut().unwrap();
    let taken = |pod: &mut Pod| pod.disruption = Some(("EvictionByEvictionAPI".into(), "a drain".into()));
    taken(&mut child.pods[0]);
    world.settle();
    let running = world.status().attempts[0].clone();
    assert_eq!((running.outcome, running.reason.as_deref()), (None, Some("Evicted")));
    let child = world.children.last_mut().unwrap();
    child.pods.clear();
    child.state = ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: "limit".into(), at: None };
    world.step(usize::MAX);
    let (status, ended) = (world.status(), world.status().attempts[0].clone());
    assert_eq!(
        (ended.outcome, ended.reason.as_deref()),
        (Some(teasel_api::spec::AttemptOutcome::Disrupted), Some("Evicted"))
    );
    assert_eq!(status.disruptions.map(|counted| (counted.total, counted.eviction)), Some((1, 1)));
}
