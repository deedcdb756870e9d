//! Whether and why an attempt has ended.
//!
//! The first cause wins over its echoes: a pod that only lost its peer says nothing about why.

use jiff::{SignedDuration, Timestamp};
use teasel_api::outcome::{ExitCode, OUT_OF_MEMORY as OUT_OF_MEMORY_REASON, Outcome};
use teasel_api::spec::AttemptOutcome;
use teasel_api::task::TaskKind;

use super::observed::{Child, ChildState, Container, Pod};
use crate::configuration::Timing;
use crate::names::GPU_RESOURCE;

/// Exit code of a process that SIGTERM ended, ours after a checkpoint or any other's.
const STOPPED: i32 = ExitCode::Stopped as i32;
/// Exit code that the kubelet reports for containers which a reboot ended.
const LOST_BY_REBOOT: i32 = 255;
/// Reasons by which the kubelet says that a container can't be made as it is described.
const CONFIGURATION_REASONS: [&str; 2] = ["CreateContainerConfigError", "CreateContainerError"];
/// Reasons by which the kubelet says that it can't get the image.
const IMAGE_REASONS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

/// Reason of an attempt that succeeded, and whose pods were gone before they had been asked how.
pub const OUTCOME_UNREAD: &str = "OutcomeUnread";

/// An attempt's end.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, in CamelCase.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What took its pods away, where something did.
    pub disruption: Option<Disruption>,
    /// What the worker reported, where it could.
    pub report: Option<Outcome>,
}

/// What takes pods away, as `status.disruptions` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// The node died, rebooted or was cut off.
    NodeFailure,
    /// A drain, or a node short of memory or disk.
    Eviction,
    /// Pods of a higher priority.
    Preemption,
    /// No place was found.
    Unschedulable,
    /// Somebody deleted the pods or the Job, or a queue took the quota back.
    Other,
}

/// What keeps an attempt that hasn't ended from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Why, in CamelCase.
    pub reason: &'static str,
    /// Why, in a sentence that says what to do.
    pub message: String,
}

/// How an attempt is.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on; `look_again` is when time alone may change that.
    Goes {
        /// What keeps it from working.
        obstacle: Option<Obstacle>,
        /// When to look again.
        look_again: Option<Timestamp>,
    },
    /// It has ended, or is to be given up.
    Ended(Box<End>),
}

impl End {
    fn new(outcome: AttemptOutcome, reason: &str, message: impl Into<String>) -> Self {
        End { outcome, reason: reason.to_owned(), message: message.into(), disruption: None, report: None }
    }

    /// An end by disruption.
    pub fn disrupted(disruption: Disruption, reason: &str, message: impl Into<String>) -> Self {
        End { disruption: Some(disruption), ..End::new(AttemptOutcome::Disrupted, reason, message) }
    }

    /// An end on request.
    pub fn suspended() -> Self {
        End::new(AttemptOutcome::Suspended, "Suspended", "stopped since the job is suspended")
    }

    /// An end of what couldn't start, since it is to be tried otherwise, or again at once.
    pub fn replaced() -> Self {
        End::new(
            AttemptOutcome::Suspended,
            "Replaced",
            "its pods couldn't start, and the job was changed or retried",
        )
    }
}

/// Judges a child. `scheduling_timeout` bounds how long its pods may wait for nodes.
pub fn judge(now: Timestamp, child: &Child, scheduling_timeout: SignedDuration, timing: &Timing) -> Verdict {
    match &child.state {
        ChildState::Succeeded => Verdict::Ended(Box::new(succeeded(child))),
        ChildState::Failed { .. } if child.suspended => Verdict::Ended(Box::new(End::disrupted(
            Disruption::Other,
            "QuotaReclaimed",
            "the queue took its quota back",
        ))),
        ChildState::Failed { reason, message } => Verdict::Ended(Box::new(failed(child, reason, message))),
        ChildState::Running if child.suspended => Verdict::Goes { obstacle: None, look_again: None },
        ChildState::Running => running(now, child, scheduling_timeout, timing),
    }
}

fn succeeded(child: &Child) -> End {
    // Of a tenant's shards, whichever was last found all committed; the others know nothing of the whole.
    let report = reports(child)
        .max_by_key(|report| (report.published.is_some(), report.users, child.key.kind == TaskKind::Train));
    match report {
        Some(report) => End {
            report: Some(report.clone()),
            ..End::new(AttemptOutcome::Succeeded, &report.reason, report.message.clone())
        },
        // What was done is durable, and whoever tries again finds it and says so.
        None => End::disrupted(
            Disruption::Other,
            OUTCOME_UNREAD,
            "its pods were gone before their outcome was read; it is read from storage",
        ),
    }
}

fn reports(child: &Child) -> impl Iterator<Item = &Outcome> {
    child.pods.iter().filter_map(|pod| match &pod.container {
        Container::Terminated { outcome, .. } => outcome.as_deref(),
        _ => None,
    })
}

/// Why a Job failed: the most telling of its pods.
fn failed(child: &Child, job_reason: &str, job_message: &str) -> End {
    let mut causes: Vec<(u8, Option<Timestamp>, End)> =
        child.pods.iter().filter_map(|pod| cause(child, pod)).collect();
    causes.sort_by_key(|(rank, finished, _)| (*rank, *finished));
    let mut causes = causes.into_iter();
    match causes.next() {
        // Somebody deleted the pod that the others lost.
        Some((ECHO, _, echo)) if child.pods.len() < child.parallelism as usize => End {
            report: echo.report,
            ..End::disrupted(Disruption::Other, "PodsDeleted", "pods were deleted from outside")
        },
        Some((_, _, end)) => end,
        None if child.pods.len() < child.parallelism as usize => {
            End::disrupted(Disruption::Other, "PodsDeleted", "pods were deleted from outside")
        }
        None => End::new(AttemptOutcome::Failed, job_reason, job_message),
    }
}

const DISRUPTED: u8 = 0;
const PERMANENT: u8 = 1;
const OUT_OF_MEMORY: u8 = 2;
const FAILED: u8 = 3;
const STOPPED_RANK: u8 = 4;
const ECHO: u8 = 5;
const IGNORED: u8 = 6;

/// What a pod says of the Job's failure: its rank among causes, when, and the end that it would mean.
fn cause(child: &Child, pod: &Pod) -> Option<(u8, Option<Timestamp>, End)> {
    // A Job of shards makes up for pods that are taken away; it fails by something else.
    let disrupted_rank = if child.key.kind == TaskKind::Score { IGNORED } else { DISRUPTED };
    let Container::Terminated { exit_code, reason, finished, outcome } = &pod.container else {
        let (why, message) = pod.disruption.as_ref()?;
        return Some((disrupted_rank, None, disrupted(pod, why, message)));
    };
    let report = outcome.as_deref();
    let said = |fallback: String| report.map_or(fallback, |report| report.message.clone());
    let code = ExitCode::from_code(*exit_code);
    let (rank, end) = if let Some((why, message)) = &pod.disruption {
        (disrupted_rank, disrupted(pod, why, message))
    } else if reason == "OOMKilled" || report.is_some_and(|report| report.reason == OUT_OF_MEMORY_REASON) {
        (OUT_OF_MEMORY, End::new(AttemptOutcome::OutOfMemory, OUT_OF_MEMORY_REASON, out_of_memory(child, pod)))
    } else if *exit_code == LOST_BY_REBOOT && report.is_none() {
        let message = format!("the node of pod {} restarted", pod.name);
        (DISRUPTED, End::disrupted(Disruption::NodeFailure, "NodeRestarted", message))
    } else if *exit_code == STOPPED {
        let message = said(format!("pod {} was stopped", pod.name));
        (STOPPED_RANK, End::disrupted(Disruption::Other, "Stopped", message))
    } else if code == Some(ExitCode::PeerLost) {
        let message = said(format!("pod {} lost a peer", pod.name));
        (ECHO, End::new(AttemptOutcome::Failed, "PeerLost", message))
    } else if let Some(code) = code.filter(|code| code.is_permanent()) {
        let why = report.map_or_else(|| format!("{code:?}"), |report| report.reason.clone());
        let message = said(format!("pod {} ended with code {exit_code}", pod.name));
        (PERMANENT, End::new(AttemptOutcome::PermanentFailure, &why, message))
    } else if *exit_code == 0 {
        return None;
    } else {
        let why = report.map_or_else(|| silent_reason(pod), |report| report.reason.clone());
        let message = said(describe_exit(pod, *exit_code));
        (FAILED, End::new(AttemptOutcome::Failed, &why, message))
    };
    Some((rank, *finished, End { report: report.cloned(), ..end }))
}

/// Reason of a worker that said nothing. A pod that used too much disk is evicted, with no DisruptionTarget.
fn silent_reason(pod: &Pod) -> String {
    match &pod.reason {
        Some(reason) if reason == "Evicted" => reason.clone(),
        _ => "WorkerFailed".into(),
    }
}

fn describe_exit(pod: &Pod, code: i32) -> String {
    match (&pod.message, code) {
        (Some(message), _) => format!("pod {}: {message}", pod.name),
        (None, 137) => format!("pod {} was killed", pod.name),
        (None, code) => format!("pod {} ended with code {code} and said nothing", pod.name),
    }
}

fn out_of_memory(child: &Child, pod: &Pod) -> String {
    let template = match child.key.kind {
        TaskKind::Prepare => "data.template",
        TaskKind::Score | TaskKind::Publish => "scoring.template",
        _ => "training.template",
    };
    let limit = pod.memory_limit.as_ref().map_or_else(String::new, |limit| format!(" (its limit is {limit})"));
    format!(
        "pod {} ran out of memory{limit}; raise resources.limits.memory of the container `worker` in {template}",
        pod.name
    )
}

fn disrupted(pod: &Pod, reason: &str, message: &str) -> End {
    let (disruption, why) = match reason {
        "PreemptionByScheduler" => (Disruption::Preemption, "Preempted"),
        "DeletionByTaintManager" | "DeletionByPodGC" => (Disruption::NodeFailure, "NodeFailure"),
        "EvictionByEvictionAPI" | "TerminationByKubelet" => (Disruption::Eviction, "Evicted"),
        _ => (Disruption::Other, "Disrupted"),
    };
    End::disrupted(disruption, why, format!("pod {}: {message}", pod.name))
}

fn running(now: Timestamp, child: &Child, scheduling_timeout: SignedDuration, timing: &Timing) -> Verdict {
    // A node that is away never reports its pods' end, and the Job waits for ever.
    let overdue = child.pods.iter().filter_map(|pod| Some((pod, pod.gone_by? + timing.gone_grace)));
    if let Some((pod, _)) = overdue.clone().find(|(_, by)| *by <= now) {
        let message = format!("the node of pod {} is away", pod.name);
        return Verdict::Ended(Box::new(End::disrupted(Disruption::NodeFailure, "NodeFailure", message)));
    }
    let next_overdue = overdue.map(|(_, by)| by).min();

    let waiting = obstacle(child);
    let limit = match &waiting {
        Some(obstacle) if obstacle.reason == UNSCHEDULABLE => Some(child.since + scheduling_timeout),
        Some(_) => Some(child.since + timing.retry_window),
        None => None,
    };
    match (waiting, limit) {
        (Some(obstacle), Some(limit)) if limit <= now => Verdict::Ended(Box::new(give_up(obstacle))),
        (obstacle, limit) => {
            Verdict::Goes { obstacle, look_again: [limit, next_overdue].into_iter().flatten().min() }
        }
    }
}

const UNSCHEDULABLE: &str = "Unschedulable";

fn give_up(obstacle: Obstacle) -> End {
    if obstacle.reason == UNSCHEDULABLE {
        return End::disrupted(Disruption::Unschedulable, UNSCHEDULABLE, obstacle.message);
    }
    End::new(AttemptOutcome::PermanentFailure, obstacle.reason, obstacle.message)
}

/// What keeps a child's pods from starting: the worst of it.
pub fn obstacle(child: &Child) -> Option<Obstacle> {
    let waiting = |reasons: &[&str]| {
        child.pods.iter().find_map(|pod| match &pod.container {
            Container::Waiting { reason, message } if reasons.contains(&reason.as_str()) => {
                Some(format!("pod {}: {message}", pod.name))
            }
            _ => None,
        })
    };
    if let Some(message) = waiting(&CONFIGURATION_REASONS) {
        let reason = if lacks_secret(&message) { "SecretMissing" } else { "PodsNotStarted" };
        return Some(Obstacle { reason, message });
    }
    if let Some(message) = waiting(&IMAGE_REASONS) {
        return Some(Obstacle { reason: "ImageUnavailable", message });
    }
    if let Some(refusal) = &child.refusal {
        return Some(Obstacle { reason: "PodsRefused", message: refusal.clone() });
    }
    let unplaced = child.pods.iter().find(|pod| !pod.scheduled)?;
    let message = match &unplaced.unschedulable {
        Some(message) if message.contains(GPU_RESOURCE) => format!(
            "pod {}: {message} (training.device is Cuda, so each pod requests a GPU for each of its \
             training.processesPerWorker ranks: add nodes that offer {GPU_RESOURCE}, or train on fewer GPUs or on Cpu)",
            unplaced.name
        ),
        Some(message) => format!("pod {}: {message}", unplaced.name),
        None => format!("pod {} waits for the scheduler", unplaced.name),
    };
    Some(Obstacle { reason: UNSCHEDULABLE, message })
}

/// Whether the kubelet says that a secret, or a key in one, isn't there. Names of other things may contain the word.
fn lacks_secret(message: &str) -> bool {
    let names_secret = [": secret \"", ": secrets \""].iter().any(|start| message.contains(start));
    let lacks_key = message.contains(": couldn't find key ") && message.contains(" in Secret ");
    lacks_key || (names_secret && message.ends_with("\" not found"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use teasel_api::outcome::{NO_CUDA, NO_GPU};

    use super::*;
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
            container: Container::Terminated { exit_code: code, reason: kubelet.into(), finished: None, outcome },
            ..Pod::default()
        }
    }

    fn failed(exit: ExitCode) -> Pod {
        ended(exit as i32, "Error", Some((exit, "said")))
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
            parallelism: 2,
            refusal: None,
            pods,
        }
    }

    fn failure(pods: Vec<Pod>) -> Child {
        child(ChildState::Failed { reason: "BackoffLimitExceeded".into(), message: "limit".into() }, pods)
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
    #[case::fenced(failed(ExitCode::FencedOut), AttemptOutcome::Failed, "FencedOut")]
    #[case::stopped(failed(ExitCode::Stopped), AttemptOutcome::Disrupted, "Stopped")]
    #[case::memory(ended(137, "OOMKilled", None), AttemptOutcome::OutOfMemory, "OutOfMemory")]
    #[case::killed(ended(137, "Error", None), AttemptOutcome::Failed, "WorkerFailed")]
    #[case::rebooted(ended(255, "Unknown", None), AttemptOutcome::Disrupted, "NodeRestarted")]
    #[case::drained(taken("EvictionByEvictionAPI", Container::Running), AttemptOutcome::Disrupted, "Evicted")]
    #[case::preempted(taken("PreemptionByScheduler", Container::Running), AttemptOutcome::Disrupted, "Preempted")]
    #[case::node(taken("DeletionByTaintManager", Container::Running), AttemptOutcome::Disrupted, "NodeFailure")]
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
    fn peers_that_all_lost_each_other_have_failed() {
        let end = end(&failure(vec![failed(ExitCode::PeerLost), failed(ExitCode::PeerLost)]));
        assert_eq!((end.outcome, end.reason.as_str()), (AttemptOutcome::Failed, "PeerLost"));
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
        assert!(found.message.ends_with(message), "{}", found.message);
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
}
