//! From the first attempt to the end; stops on the way.

use serde_json::json;

use super::*;

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
