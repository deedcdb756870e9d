//! Ends of Jobs, as the kubelet and the Job controller show them.
#![allow(clippy::unwrap_used, clippy::panic)]

use rstest::rstest;
use teasel_api::outcome::{ExitCode, NO_CUDA, NO_GPU};

use super::*;
use crate::job::observed::{Container, Pod, Refusal};
use crate::task_key::TaskKey;

const TIMEOUT: SignedDuration = SignedDuration::from_secs(600);

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)
}

fn ended(code: i32, kubelet: &str, report: Option<(ExitCode, &str)>) -> Pod {
    let outcome = report
        .map(|(exit, message)| Box::new(Outcome::new(TaskKind::Train, 1, exit, format!("{exit:?}"), message)));
    Pod {
        name: "p".into(),
        scheduled: true,
        container: Container::Terminated {
            exit_code: code,
            reason: kubelet.into(),
            finished: None,
            outcome,
            other: None,
        },
        ..Pod::default()
    }
}

fn failed(exit: ExitCode) -> Pod {
    ended(exit as i32, "Error", Some((exit, "said")))
}

/// A pod that a kubelet didn't take.
fn refused() -> Pod {
    let (reason, message) = (Some("UnexpectedAdmissionError".into()), Some("no healthy devices".into()));
    Pod { name: "p".into(), reason, message, container: Container::Gone, ..Pod::default() }
}

fn taken(reason: &str, container: Container) -> Pod {
    Pod { name: "p".into(), disruption: Some((reason.into(), "why".into())), container, ..Pod::default() }
}

fn child(state: ChildState, pods: Vec<Pod>) -> Child {
    Child {
        name: "films-train-1".into(),
        uid: "uid".into(),
        key: TaskKey::of_job(TaskKind::Train),
        number: 1,
        since: now() - SignedDuration::from_secs(60),
        suspended: false,
        state,
        succeeded: 0,
        completions: 2,
        parallelism: 2,
        refusal: None,
        pods,
    }
}

/// A pod whose agent has lost a rank, and says why.
fn said(reason: &str) -> Pod {
    let mut pod = ended(75, "Error", Some((ExitCode::TryAgain, "a rank was killed")));
    if let Container::Terminated { outcome: Some(outcome), .. } = &mut pod.container {
        outcome.reason = reason.into();
    }
    pod
}

fn failure(pods: Vec<Pod>) -> Child {
    child(ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: "limit".into(), at: None }, pods)
}

fn end(child: &Child) -> End {
    match judge(now(), child, TIMEOUT, &Timing::default()) {
        Verdict::Ended(end) => *end,
        Verdict::Goes { .. } => panic!("it goes on"),
    }
}

#[rstest]
#[case::permanent(failed(ExitCode::BadData), AttemptOutcome::PermanentFailure, "BadData")]
#[case::bug(failed(ExitCode::Bug), AttemptOutcome::Failed, "Bug")]
#[case::storage(failed(ExitCode::StorageUnavailable), AttemptOutcome::Failed, "StorageUnavailable")]
#[case::fenced(failed(ExitCode::FencedOut), AttemptOutcome::Disrupted, "FencedOut")]
#[case::stopped(failed(ExitCode::Stopped), AttemptOutcome::Disrupted, "Stopped")]
#[case::memory(ended(137, "OOMKilled", None), AttemptOutcome::OutOfMemory, "OutOfMemory")]
#[case::memory_of_a_rank(said("OutOfMemory"), AttemptOutcome::OutOfMemory, "OutOfMemory")]
#[case::killed_rank(said("RankKilled"), AttemptOutcome::Failed, "RankKilled")]
#[case::killed(ended(137, "Error", None), AttemptOutcome::Failed, "WorkerFailed")]
#[case::rebooted(ended(255, "Unknown", None), AttemptOutcome::Disrupted, "NodeRestarted")]
#[case::drained(taken("EvictionByEvictionAPI", Container::Running), AttemptOutcome::Disrupted, "Evicted")]
#[case::preempted(taken("PreemptionByScheduler", Container::Running), AttemptOutcome::Disrupted, "Preempted")]
#[case::node(taken("DeletionByTaintManager", Container::Running), AttemptOutcome::Disrupted, "NodeFailure")]
#[case::lost(taken("DeletionByTaintManager", Container::Gone), AttemptOutcome::Disrupted, "NodeFailure")]
#[case::refused(refused(), AttemptOutcome::Disrupted, "UnexpectedAdmissionError")]
fn the_cause_wins_over_its_echo(#[case] cause: Pod, #[case] outcome: AttemptOutcome, #[case] reason: &str) {
    for pods in [vec![cause.clone(), failed(ExitCode::PeerLost)], vec![failed(ExitCode::PeerLost), cause]] {
        let end = end(&failure(pods));
        assert_eq!((end.outcome, end.reason.as_str()), (outcome, reason));
    }
}

#[rstest]
#[case::drained(taken("EvictionByEvictionAPI", Container::Running))]
#[case::stopped_by_a_drain(Pod {
    disruption: Some(("EvictionByEvictionAPI".into(), "why".into())), ..failed(ExitCode::Stopped)
})]
fn a_shard_that_was_taken_away_and_made_up_for_is_not_why_scoring_failed(#[case] earlier: Pod) {
    for exit in [ExitCode::Bug, ExitCode::BadData] {
        let pods = vec![earlier.clone(), failed(exit)];
        let scoring = Child { key: TaskKey::of_tenant(TaskKind::Score, "city"), ..failure(pods) };
        let expected =
            if exit == ExitCode::Bug { AttemptOutcome::Failed } else { AttemptOutcome::PermanentFailure };
        assert_eq!(end(&scoring).outcome, expected);
    }
}

#[test]
fn a_pod_that_is_gone_was_deleted_by_somebody() {
    let end = end(&failure(vec![failed(ExitCode::PeerLost)]));
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Disrupted, "PodsDeleted"));
}

#[test]
fn peers_that_all_lost_each_other_were_cut_off_and_have_not_failed() {
    let end = end(&failure(vec![failed(ExitCode::PeerLost), failed(ExitCode::PeerLost)]));
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Disrupted, "PeerLost"));
    assert_eq!(end.disruption, Some(Disruption::Other));
}

/// A failed Job of which one pod has lost the other, and that other is as told.
fn lost(other: Pod, seconds: i64) -> Child {
    let at = Some(now() - SignedDuration::from_secs(seconds));
    let state = ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: "limit".into(), at };
    child(state, vec![failed(ExitCode::PeerLost), other])
}

#[test]
fn the_pod_that_others_lost_has_some_time_to_say_why() {
    let silent = || Pod { name: "q".into(), scheduled: true, container: Container::Running, ..Pod::default() };
    let verdict = judge(now(), &lost(silent(), 3), TIMEOUT, &Timing::default());
    let again = now() + SignedDuration::from_secs(7);
    assert_eq!(verdict, Verdict::Goes { obstacle: None, look_again: Some(again) });
    let told = end(&lost(ended(137, "OOMKilled", None), 3));
    assert_eq!(told.outcome, AttemptOutcome::OutOfMemory);
    // A node that is away says nothing, and isn't the task's fault.
    let untold = end(&lost(silent(), 11));
    assert_eq!((untold.outcome, untold.reason.as_str()), (AttemptOutcome::Disrupted, "PeerLost"));
    assert_eq!(untold.disruption, Some(Disruption::NodeFailure));
    assert!(untold.message.contains("pod q"), "{}", untold.message);
}

#[test]
fn a_command_that_cannot_be_run_is_told_in_the_runtimes_words() {
    let mut pod = ended(128, "StartError", None);
    if let Container::Terminated { other, .. } = &mut pod.container {
        *other = Some("exec: \"train\": not found".into());
    }
    let message = end(&failure(vec![pod])).message;
    assert!(message.contains("not found"), "{message}");
}

#[test]
fn a_shard_that_knows_nothing_of_the_whole_does_not_speak_for_the_tenant() {
    let mut pod = ended(0, "Completed", Some((ExitCode::Done, "said")));
    if let Container::Terminated { outcome: Some(outcome), .. } = &mut pod.container {
        outcome.reason = SHARD_SCORED.into();
    }
    let key = TaskKey::of_tenant(TaskKind::Score, "city");
    let end = end(&Child { key, ..child(ChildState::Succeeded, vec![pod]) });
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Disrupted, OUTCOME_UNREAD));
}

#[rstest]
#[case::no_node(unplaced())]
#[case::no_image(waiting("ErrImagePull", "connection refused"))]
fn a_pod_that_came_late_is_not_held_to_have_waited_for_as_long_as_the_job_is_there(#[case] pod: Pod) {
    let late = Pod { created: Some(now() - SignedDuration::from_secs(5)), ..pod };
    let running = Pod { scheduled: true, container: Container::Running, ..Pod::default() };
    let old = child(ChildState::Running, vec![running, late]);
    let old = Child { since: now() - SignedDuration::from_hours(2), ..old };
    let verdict = judge(now(), &old, TIMEOUT, &Timing::default());
    assert!(matches!(verdict, Verdict::Goes { obstacle: Some(_), look_again: Some(_) }), "{verdict:?}");
}

#[test]
fn a_volume_that_cannot_be_mounted_and_another_containers_image_are_obstacles_too() {
    let trouble = "MountVolume.SetUp failed for volume \"x\": configmap \"x\" not found";
    let pod = Pod { trouble: Some(trouble.into()), scheduled: true, ..Pod::default() };
    let found = obstacle(&child(ChildState::Running, vec![pod])).unwrap();
    assert_eq!(found.reason, "PodsNotStarted");
    assert!(found.message.contains(trouble), "{}", found.message);
    let sidecar = Container::Waiting { reason: "ImagePullBackOff".into(), message: "no such image".into() };
    let pod = Pod { others: vec![sidecar], scheduled: true, ..Pod::default() };
    assert_eq!(obstacle(&child(ChildState::Running, vec![pod])).unwrap().reason, "ImageUnavailable");
}

#[test]
fn pods_that_are_refused_count_from_the_first_refusal() {
    let refusal = Refusal { message: "exceeded quota".into(), since: Some(now() - SignedDuration::from_secs(9)) };
    let old = Child { since: now() - SignedDuration::from_hours(2), ..child(ChildState::Running, Vec::new()) };
    let verdict = judge(now(), &Child { refusal: Some(refusal), ..old }, TIMEOUT, &Timing::default());
    assert!(matches!(verdict, Verdict::Goes { obstacle: Some(_), .. }), "{verdict:?}");
}

#[test]
fn memory_that_ran_out_is_named_with_the_limit_and_what_to_change() {
    let pod = Pod { memory_limit: Some("2Gi".into()), ..ended(137, "OOMKilled", None) };
    let message = end(&failure(vec![pod])).message;
    assert!(message.contains("2Gi") && message.contains("training.template"), "{message}");
}

#[test]
fn a_job_that_its_queue_suspends_costs_nothing() {
    let queued = Child { suspended: true, ..child(ChildState::Running, vec![failed(ExitCode::Stopped)]) };
    let verdict = judge(now(), &queued, TIMEOUT, &Timing::default());
    assert_eq!(verdict, Verdict::Goes { obstacle: None, look_again: None });
    let ended = end(&Child { suspended: true, ..failure(vec![failed(ExitCode::Stopped)]) });
    assert_eq!((ended.outcome, ended.reason.as_str()), (AttemptOutcome::Disrupted, "QuotaReclaimed"));
}

#[rstest]
#[case::in_its_grace_time(-60, None)]
#[case::just_over_it(9, None)]
#[case::long_over_it(11, Some("NodeFailure"))]
fn a_pod_that_should_be_gone_tells_of_a_node_that_is_away(#[case] since: i64, #[case] reason: Option<&str>) {
    let pod = Pod {
        gone_by: Some(now() - SignedDuration::from_secs(since)),
        scheduled: true,
        container: Container::Running,
        ..Pod::default()
    };
    let found = match judge(now(), &child(ChildState::Running, vec![pod]), TIMEOUT, &Timing::default()) {
        Verdict::Ended(end) => Some(end.reason),
        Verdict::Goes { look_again, .. } => {
            assert!(look_again.is_some_and(|at| at > now()));
            None
        }
    };
    assert_eq!(found.as_deref(), reason);
}

fn waiting(reason: &str, message: &str) -> Pod {
    let container = Container::Waiting { reason: reason.into(), message: message.into() };
    Pod { name: "p".into(), scheduled: true, container, ..Pod::default() }
}

fn unplaced() -> Pod {
    Pod { name: "p".into(), unschedulable: Some("0/2 nodes are available".into()), ..Pod::default() }
}

#[rstest]
#[case(NO_CUDA, "there is no CUDA here; training.device Cuda needs a worker image with CUDA")]
#[case(NO_GPU, "no CUDA device is visible")]
fn an_image_without_cuda_and_a_node_without_gpus_are_said_and_not_tried_again(
    #[case] reason: &str,
    #[case] message: &str,
) {
    let exit = ExitCode::BadConfiguration;
    let report = Outcome::new(TaskKind::Train, 1, exit, reason, message);
    let mut pod = ended(exit as i32, "Error", None);
    if let Container::Terminated { outcome, .. } = &mut pod.container {
        *outcome = Some(Box::new(report));
    }
    // The other pod waited for the rest of its group, and was stopped with the Job.
    let end = end(&failure(vec![failed(ExitCode::Stopped), pod]));
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::PermanentFailure, reason));
    assert_eq!(end.message, message);
}

#[test]
fn a_cluster_without_gpus_is_told_by_the_resource_and_what_to_change() {
    let said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.";
    let pod = Pod { unschedulable: Some(said.into()), ..unplaced() };
    let found = obstacle(&child(ChildState::Running, vec![pod])).unwrap();
    assert_eq!(found.reason, UNSCHEDULABLE);
    for part in [said, "training.device is Cuda", "training.processesPerWorker", "add nodes"] {
        assert!(found.message.contains(part), "{part}: {}", found.message);
    }
    let other = obstacle(&child(ChildState::Running, vec![unplaced()])).unwrap();
    assert!(!other.message.contains("Cuda"), "{}", other.message);
}

#[rstest]
#[case("secret \"films-storage\" not found", "SecretMissing")]
#[case("secrets \"films-storage\" not found", "SecretMissing")]
#[case("couldn't find key AWS_REGION in Secret media/films-storage", "SecretMissing")]
#[case("configmap \"films-secret\" not found", "PodsNotStarted")]
#[case("configmap \"secret\" not found", "PodsNotStarted")]
#[case("couldn't find key secret in ConfigMap media/secret", "PodsNotStarted")]
#[case("container has runAsNonRoot and image secret will run as root", "PodsNotStarted")]
fn only_a_secret_that_is_missing_is_said_to_be(#[case] message: &str, #[case] reason: &str) {
    let pod = Pod { name: "secret-films-train-1-0".into(), ..waiting("CreateContainerConfigError", message) };
    let found = obstacle(&child(ChildState::Running, vec![pod])).unwrap();
    assert_eq!(found.reason, reason);
    assert!(found.message.contains(message), "{}", found.message);
}

#[rstest]
#[case(
    waiting("CreateContainerConfigError", "secret \"x\" not found"),
    "SecretMissing",
    AttemptOutcome::PermanentFailure
)]
#[case(waiting("ImagePullBackOff", "no such image"), "ImageUnavailable", AttemptOutcome::PermanentFailure)]
#[case(unplaced(), "Unschedulable", AttemptOutcome::Disrupted)]
fn what_keeps_pods_from_starting_is_said_at_once_and_given_up_in_the_end(
    #[case] pod: Pod,
    #[case] reason: &str,
    #[case] outcome: AttemptOutcome,
) {
    let young = child(ChildState::Running, vec![pod]);
    let Verdict::Goes { obstacle: Some(obstacle), look_again: Some(again) } =
        judge(now(), &young, TIMEOUT, &Timing::default())
    else {
        panic!("it waits")
    };
    assert_eq!(obstacle.reason, reason);
    assert!(again > now());
    let old = Child { since: now() - SignedDuration::from_mins(31), ..young };
    let ended = end(&old);
    assert_eq!((ended.outcome, ended.reason.as_str()), (outcome, reason));
}

#[test]
fn the_shard_that_found_all_committed_speaks_for_the_tenant() {
    let shard = |published: Option<bool>| {
        let mut pod = ended(0, "Completed", Some((ExitCode::Done, "said")));
        if let Container::Terminated { outcome: Some(outcome), .. } = &mut pod.container {
            outcome.published = published;
            outcome.users = published.map(|_| 7);
        }
        pod
    };
    let done = child(ChildState::Succeeded, vec![shard(None), shard(Some(true)), shard(None)]);
    assert_eq!(end(&done).report.and_then(|report| report.users), Some(7));
}

#[test]
fn an_outcome_that_nobody_read_is_read_again_by_the_next_attempt() {
    let end = end(&child(ChildState::Succeeded, Vec::new()));
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Disrupted, "OutcomeUnread"));
}

#[rstest]
#[case::training_without_a_worker(TaskKind::Train, 1, true)]
#[case::training_with_all(TaskKind::Train, 2, false)]
#[case::scoring_with_some(TaskKind::Score, 1, false)]
#[case::scoring_without_any(TaskKind::Score, 0, true)]
fn a_job_that_somebody_has_edited_is_given_up_if_it_cannot_get_on(
    #[case] kind: TaskKind,
    #[case] parallelism: u32,
    #[case] given_up: bool,
) {
    let edited = Child { key: TaskKey::of_job(kind), parallelism, ..child(ChildState::Running, Vec::new()) };
    match judge(now(), &edited, TIMEOUT, &Timing::default()) {
        Verdict::Ended(end) => assert!(given_up && end.reason == "JobEdited", "{end:?}"),
        Verdict::Goes { .. } => assert!(!given_up),
    }
}

#[test]
fn what_only_an_event_tells_is_looked_for_soon() {
    let goes = |child: &Child| match judge(now(), child, TIMEOUT, &Timing::default()) {
        Verdict::Goes { obstacle, look_again } => (obstacle, look_again),
        Verdict::Ended(end) => panic!("{end:?}"),
    };
    // Pods that aren't there, less often the longer they aren't.
    for (age, pause) in [(5, 3), (60, 15)] {
        let since = now() - SignedDuration::from_secs(age);
        let (_, again) = goes(&Child { since, ..child(ChildState::Running, Vec::new()) });
        assert_eq!(again, Some(now() + SignedDuration::from_secs(pause)));
    }
    // Once it is known why, only time is of interest.
    let refusal = Some(Refusal { message: "exceeded quota".into(), since: Some(now()) });
    let (obstacle, again) = goes(&Child { refusal, ..child(ChildState::Running, Vec::new()) });
    assert_eq!(
        obstacle.unwrap().message,
        "exceeded quota (change spec.training.template, or what refuses its pods)"
    );
    assert!(again > Some(now() + SignedDuration::from_secs(60)));
    // Pods that don't start.
    let slow = Pod { scheduled: true, created: Some(now() - SignedDuration::from_secs(10)), ..Pod::default() };
    let (_, again) = goes(&child(ChildState::Running, vec![slow.clone(), slow]));
    assert_eq!(again, Some(now() + SignedDuration::from_secs(20)));
}

/// Scoring with eight shards, of which two are done, and two pods at once.
fn shards(pods: Vec<Pod>) -> Child {
    let (key, done) = (TaskKey::of_tenant(TaskKind::Score, "a"), ended(0, "Completed", None));
    let pods = [vec![done.clone(), done], pods].concat();
    Child { key, completions: 8, parallelism: 2, succeeded: 2, ..child(ChildState::Running, pods) }
}

#[test]
fn shards_that_are_done_do_not_stand_for_pods_that_are_missing() {
    assert!(shards(Vec::new()).lacks_pods());
    let running = Pod { container: Container::Running, ..Pod::default() };
    assert!(!shards(vec![running.clone(), running.clone()]).lacks_pods());
    assert!(!Child { succeeded: 7, ..shards(vec![running]) }.lacks_pods());
}

#[test]
fn shards_at_work_are_not_given_up_for_those_that_wait() {
    let waiting = Pod {
        unschedulable: Some("no room".into()),
        created: Some(now() - SignedDuration::from_hours(1)),
        ..Pod::default()
    };
    let since = now() - SignedDuration::from_hours(1);
    let running = Pod { scheduled: true, container: Container::Running, ..Pod::default() };
    let some_work = Child { since, ..shards(vec![running, waiting.clone()]) };
    let Verdict::Goes { obstacle, look_again: None } = judge(now(), &some_work, TIMEOUT, &Timing::default()) else {
        panic!("it is given up");
    };
    assert_eq!(obstacle.unwrap().reason, UNSCHEDULABLE);
    let none_works = Child { since, ..shards(vec![waiting.clone(), waiting]) };
    assert_eq!(end(&none_works).reason, UNSCHEDULABLE);
}

#[test]
fn a_task_file_that_was_deleted_is_a_disruption() {
    let trouble = Some("MountVolume.SetUp failed: configmap \"films-train-1\" not found".into());
    let pod = Pod { scheduled: true, trouble, ..Pod::default() };
    let end = end(&child(ChildState::Running, vec![pod.clone(), pod]));
    assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Disrupted, "TaskFileDeleted"));
}
