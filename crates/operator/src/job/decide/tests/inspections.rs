//! Outcomes that nobody has read.

use rstest::rstest;
use teasel_api::task::InspectTask;

use super::*;

/// A world in which training has succeeded, and its pods are gone.
fn unread() -> World {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.end(&TaskKey::of_job(TaskKind::Train), ExitCode::Done, |_| {});
    world.children.last_mut().unwrap().pods.clear();
    world.settle();
    world
}

#[test]
fn an_outcome_that_nobody_has_read_is_read_by_one_pod_and_not_trained_for_again() {
    let mut world = unread();
    let inspect = TaskKey::of_job(TaskKind::Inspect);
    assert_eq!((world.running(), world.phase()), (vec![inspect.clone()], Phase::Training));
    assert_eq!(world.children.last().unwrap().pods.len(), 1);
    let Task::Inspect(InspectTask::Run { run, task, .. }) = &world.started.last().unwrap().2 else {
        panic!("no inspection of the run")
    };
    assert_eq!((run.as_str(), *task), (UID, TaskKind::Train));
    // It says what training has said.
    world.end(&inspect, ExitCode::Done, |outcome| {
        outcome.task = TaskKind::Train;
        outcome.reason = "EarlyStopped".into();
        outcome.message = "no better for 10 epochs".into();
    });
    world.settle();
    assert_eq!((world.running(), world.phase()), (vec![TaskKey::of_job(TaskKind::Evaluate)], Phase::Evaluating));
    let status = world.status();
    let train = status.attempts.iter().find(|attempt| attempt.task == TaskKind::Train).unwrap();
    assert_eq!((train.number, train.reason.as_deref()), (1, Some("EarlyStopped")));
    let trained = status.conditions.iter().find(|condition| condition.kind == "Trained").unwrap();
    assert_eq!((trained.status.as_str(), trained.message.as_str()), ("True", "no better for 10 epochs"));
    assert_eq!(status.disruptions, None, "nothing was lost");
}

#[test]
fn what_keeps_an_inspection_from_reading_is_told() {
    let mut world = unread();
    assert_eq!(world.reason_of("Trained"), "False/OutcomeUnread");
    assert_eq!(world.message_of("Trained"), "attempt 1 is done, and a pod reads what came of it");
    world.find_no_room(&TaskKey::of_job(TaskKind::Inspect));
    let said = world.message_of("Trained");
    assert!(said.contains("reads what came of it: ") && said.contains("no node has room"), "{said}");
}

#[rstest]
#[case::nothing_was_written(ExitCode::InputMissing)]
#[case::it_can_not_be_read(ExitCode::PermissionDenied)]
#[case::it_failed(ExitCode::Bug)]
fn where_an_inspection_finds_nothing_the_task_is_done_again_at_no_cost(#[case] exit: ExitCode) {
    let mut world = unread();
    world.end(&TaskKey::of_job(TaskKind::Inspect), exit, |_| {});
    world.settle();
    assert_eq!(world.running(), [TaskKey::of_job(TaskKind::Train)]);
    assert_eq!(world.started.last().unwrap().1, 2);
    assert_eq!(world.status().restarts, None);
    assert_eq!(world.status().disruptions.unwrap().total, 1);
}

#[test]
fn an_operator_that_dies_before_it_creates_an_inspection_creates_it_later() {
    let mut world = World::new(&["a"], |_| {});
    world.settle();
    world.succeed(TaskKind::Prepare);
    world.end(&TaskKey::of_job(TaskKind::Train), ExitCode::Done, |_| {});
    world.children.last_mut().unwrap().pods.clear();
    for _ in 0..3 {
        world.step(0);
    }
    world.settle();
    assert_eq!(world.running(), [TaskKey::of_job(TaskKind::Inspect)]);
}
