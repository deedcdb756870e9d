//! Scoring and publishing, tenant by tenant.

use rstest::rstest;
use serde_json::json;

use super::*;

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
fn an_approval_publishes_what_waits() {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    let Task::Score(task) = &world.started.last().unwrap().2 else { panic!("no score") };
    assert!(!task.publish);
    world.score_unpublished("a");
    world.succeed(TaskKind::Collect);
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "False/AwaitingApproval".into()));
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    world.publish("a");
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "True/Published".into()));
}

#[test]
fn what_keeps_an_approved_tenant_from_being_published_is_told() {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    world.score_unpublished("a");
    world.succeed(TaskKind::Collect);
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    world.find_no_room(&TaskKey::of_tenant(TaskKind::Publish, "a"));
    assert_eq!(world.reason_of("Published"), "False/Publishing");
    let said = world.message_of("Published");
    assert!(said.contains("a: ") && said.contains("no node has room"), "{said}");
}

#[test]
fn what_keeps_a_run_from_being_collected_is_told_and_keeps_the_job_for_a_while_only() {
    let mut world = World::at_scoring(&["a"], |_| {});
    world.score("a");
    world.find_no_room(&TaskKey::of_job(TaskKind::Collect));
    assert_eq!(world.reason_of("Complete"), "False/Unschedulable");
    world.now += SignedDuration::from_mins(11);
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Complete")), (Phase::Succeeded, "True/Completed".into()));
}

#[test]
fn a_job_is_not_complete_while_something_approved_waits_to_be_published_again() {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    world.end_scoring_unpublished("a");
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.step(usize::MAX);
    world.end(&TaskKey::of_tenant(TaskKind::Publish, "a"), ExitCode::StorageUnavailable, |_| {});
    world.step(usize::MAX);
    assert_eq!((world.phase(), world.running()), (Phase::Scoring, Vec::new()));
    world.settle();
    world.publish("a");
    world.succeed(TaskKind::Collect);
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
fn a_request_waits_until_the_job_is_resumed() {
    let mut world = World::at_scoring(&["a", "b"], |_| {});
    world.score("a");
    world.edit(|job| job["spec"]["suspend"] = json!(true));
    world.settle();
    let request = json!({"id": "1", "tenant": "a", "action": "Rollback", "run": "older"});
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/publish-request": request.to_string()}));
    world.settle();
    let answer = world.status().publish_request.unwrap();
    assert_eq!((world.running(), answer.outcome), (vec![], None));
    assert!(answer.message.unwrap().contains("suspended"));
    world.edit(|job| job["spec"]["suspend"] = json!(false));
    world.settle();
    assert!(world.running().contains(&TaskKey::of_tenant(TaskKind::Publish, "a")));
}

#[test]
fn what_keeps_a_request_from_being_carried_out_is_told() {
    let mut world = World::at_scoring(&["a"], |_| {});
    world.score("a");
    world.succeed(TaskKind::Collect);
    let request = json!({"id": "1", "tenant": "a", "action": "Rollback", "run": "older"});
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/publish-request": request.to_string()}));
    world.settle();
    world.find_no_room(&TaskKey::of_tenant(TaskKind::Publish, "a"));
    let answer = world.status().publish_request.unwrap();
    assert_eq!((answer.id.as_str(), answer.outcome.as_ref()), ("1", None));
    assert!(answer.message.as_ref().unwrap().contains("no node has room"), "{answer:?}");
    world.publish("a");
    let answer = world.status().publish_request.unwrap();
    assert!(answer.outcome.is_some());
}
