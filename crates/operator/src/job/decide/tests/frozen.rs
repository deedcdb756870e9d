//! Tenants' fields while they are worked with and after, and tenants that come and go.

use serde_json::json;

use super::*;

/// Changes a field of the first tenant.
fn change_first(world: &mut World, field: &str, value: Value) {
    world.edit(|job| job["spec"]["scoring"]["tenants"][0][field] = value);
    world.settle();
}

fn message_of(world: &World, kind: &str) -> String {
    let status = world.status();
    status.conditions.iter().find(|condition| condition.kind == kind).unwrap().message.clone()
}

#[test]
fn a_tenant_that_is_published_stays_as_it_is_and_what_was_changed_is_named() {
    for (field, value) in [("value", json!("other")), ("topK", json!(7)), ("output", json!({"uri": "s3://x/y"}))] {
        let mut world = World::at_scoring(&["a", "b"], |_| {});
        world.score("a");
        change_first(&mut world, field, value);
        assert_eq!(world.running(), scores(&["b"]), "{field}");
        assert_eq!(world.reason_of("Validated"), "False/FrozenFieldChanged", "{field}");
        assert!(message_of(&world, "Validated").contains("tenant a"), "{field}");
        world.score("b");
        world.succeed(TaskKind::Collect);
        assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "True/Published".into()));
    }
}

#[test]
fn a_tenant_is_published_where_its_lists_are_whatever_was_changed_since() {
    let mut world = awaiting_approval();
    change_first(&mut world, "output", json!({"uri": "s3://a/other"}));
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    let Task::Publish(task) = &world.started.last().unwrap().2 else { panic!("no publish") };
    assert_eq!(task.output.uri, "s3://a/lists");
}

#[test]
fn a_tenant_that_was_taken_out_and_put_in_again_is_scored_again() {
    let mut world = World::at_scoring(&["a", "b"], |_| {});
    world.score("a");
    let mut taken = Value::Null;
    world.edit(|job| taken = job["spec"]["scoring"]["tenants"].as_array_mut().unwrap().remove(0));
    world.settle();
    world.edit(|job| job["spec"]["scoring"]["tenants"].as_array_mut().unwrap().push(taken));
    world.settle();
    world.succeed(TaskKind::Prepare);
    assert_eq!(world.running(), scores(&["b", "a"]));
    let (_, number, _) = world.started.last().unwrap();
    assert_eq!(*number, 2);
}

#[test]
fn a_tenant_that_comes_after_the_end_is_not_heeded_and_changes_nothing() {
    let mut world = World::at_scoring(&["a"], |_| {});
    world.score("a");
    world.succeed(TaskKind::Collect);
    world.edit(|job| {
        let late = json!({"name": "late", "output": {"uri": "s3://late/lists"}});
        job["spec"]["scoring"]["tenants"].as_array_mut().unwrap().push(late);
    });
    world.settle();
    assert_eq!((world.running(), world.phase()), (vec![], Phase::Succeeded));
    assert_eq!(world.reason_of("Published"), "True/Published");
    assert!(message_of(&world, "Validated").contains("tenant late"), "{}", message_of(&world, "Validated"));
}

#[test]
fn a_tenant_that_cannot_be_published_fails_the_job_and_a_retry_publishes_it() {
    let mut world = World::at_scoring(&["a", "b"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    world.score_unpublished("a");
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    let key = TaskKey::of_tenant(TaskKind::Publish, "a");
    world.end(&key, ExitCode::BadConfiguration, |_| {});
    world.settle();
    world.score("b");
    assert_eq!((world.phase(), world.reason_of("Failed")), (Phase::Failed, "True/TenantsFailed".into()));
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": "now"}));
    world.settle();
    assert_eq!(world.running(), std::slice::from_ref(&key));
    world.publish("a");
    world.succeed(TaskKind::Collect);
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "True/Published".into()));
}

#[test]
fn a_tenant_that_cannot_be_published_where_it_is_goes_where_an_edit_says() {
    let mut world = scored_unpublished();
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    world.end(&TaskKey::of_tenant(TaskKind::Publish, "a"), ExitCode::BadConfiguration, |_| {});
    world.settle();
    assert_eq!(world.phase(), Phase::Failed);
    change_first(&mut world, "output", json!({"uri": "s3://a/other"}));
    let Task::Score(task) = &world.started.last().unwrap().2 else {
        panic!("no score: {:?}", world.started.last())
    };
    assert_eq!((world.phase(), task.tenant.output.uri.as_str()), (Phase::Scoring, "s3://a/other"));
}

#[test]
fn a_tenant_that_could_not_be_published_is_by_pods_of_another_template() {
    for complete in [false, true] {
        let mut world = if complete { awaiting_approval() } else { scored_unpublished() };
        world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
        world.settle();
        world.end(&TaskKey::of_tenant(TaskKind::Publish, "a"), ExitCode::BadConfiguration, |_| {});
        world.settle();
        let started = world.started.len();
        world.edit(|job| job["spec"]["ttlSecondsAfterFinished"] = json!(1_000_000));
        world.settle();
        assert_eq!(world.started.len(), started);
        world.edit(|job| job["spec"]["scoring"]["template"] = json!({"spec": {"nodeSelector": {"pool": "large"}}}));
        world.settle();
        world.publish("a");
        assert_eq!(world.reason_of("Published"), "True/Published");
    }
}

#[test]
fn a_tenant_that_could_not_be_published_after_the_end_is_published_by_a_retry() {
    let mut world = awaiting_approval();
    world.edit(|job| job["spec"]["publish"]["approved"] = json!(true));
    world.settle();
    world.end(&TaskKey::of_tenant(TaskKind::Publish, "a"), ExitCode::BadConfiguration, |_| {});
    world.settle();
    assert_eq!((world.phase(), world.reason_of("Published")), (Phase::Succeeded, "False/NotPublished".into()));
    world.edit(|job| job["metadata"]["annotations"] = json!({"teasel.dev/retry": "now"}));
    world.settle();
    world.publish("a");
    assert_eq!(world.reason_of("Published"), "True/Published");
}

/// A job whose only tenant has its lists, and waits for an approval.
fn scored_unpublished() -> World {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    world.end_scoring_unpublished("a");
    world
}

/// A job that is complete but for an approval.
fn awaiting_approval() -> World {
    let mut world = World::at_scoring(&["a"], |job| job["spec"]["publish"] = json!({"mode": "Manual"}));
    world.score_unpublished("a");
    world.succeed(TaskKind::Collect);
    assert_eq!(world.reason_of("Published"), "False/AwaitingApproval");
    world
}
