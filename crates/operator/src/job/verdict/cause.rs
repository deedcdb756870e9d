//! Why a Job failed: the most telling of its pods.

use jiff::Timestamp;
use teasel_api::outcome::{ExitCode, OUT_OF_MEMORY as OUT_OF_MEMORY_REASON};
use teasel_api::spec::AttemptOutcome;
use teasel_api::task::TaskKind;

use super::{Disruption, End, PODS_DELETED};
use crate::job::observed::{Child, Container, Pod};
use crate::job::stages::template_field;

/// Exit code of a process that SIGTERM ended, ours after a checkpoint or any other's.
const STOPPED: i32 = ExitCode::Stopped as i32;
/// Exit code that the kubelet reports for containers which a reboot ended.
const LOST_BY_REBOOT: i32 = 255;

/// Whether the pod that others lost hasn't said yet why it ended.
pub(super) fn is_open(child: &Child) -> bool {
    let told = child.pods.iter().filter_map(|pod| cause(child, pod)).any(|(rank, ..)| rank < ECHO);
    !told && lost(child).is_some()
}

/// A pod that isn't known to have ended.
fn lost(child: &Child) -> Option<&Pod> {
    child.pods.iter().find(|pod| !pod.has_ended())
}

/// Why a Job failed: the most telling of its pods.
pub(super) fn failed(child: &Child, job_reason: &str, job_message: &str) -> End {
    let mut causes: Vec<(u8, Option<Timestamp>, End)> =
        child.pods.iter().filter_map(|pod| cause(child, pod)).collect();
    causes.sort_by_key(|(rank, finished, _)| (*rank, *finished));
    let mut causes = causes.into_iter();
    match causes.next() {
        // Somebody deleted the pod that the others lost.
        Some((ECHO, _, echo)) if child.pods.len() < child.parallelism as usize => {
            End { report: echo.report, ..pods_deleted() }
        }
        Some((ECHO, _, echo)) if lost(child).is_some() => {
            let name = lost(child).map(|pod| pod.name.clone()).unwrap_or_default();
            let message = format!("pod {name} was lost by the others, and nothing is heard of how it ended");
            // A kubelet that is there tells within moments.
            End { report: echo.report, ..End::disrupted(Disruption::NodeFailure, "PeerLost", message) }
        }
        Some((_, _, end)) => end,
        None if child.pods.len() < child.parallelism as usize => pods_deleted(),
        None => End::new(AttemptOutcome::Failed, job_reason, job_message),
    }
}

fn pods_deleted() -> End {
    End::disrupted(Disruption::Other, PODS_DELETED, "pods were deleted from outside")
}

/// What takes a pod away that still runs. A Job of shards makes up for it.
pub(super) fn announced(child: &Child) -> Option<End> {
    let taken = child.pods.iter().filter(|_| child.key.kind != TaskKind::Score);
    taken.filter_map(|pod| pod.disruption.as_ref().map(|(why, message)| disrupted(pod, why, message))).next()
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
    let Container::Terminated { exit_code, reason, finished, outcome, other } = &pod.container else {
        if let Some((why, message)) = &pod.disruption {
            return Some((disrupted_rank, None, disrupted(pod, why, message)));
        }
        return matches!(pod.container, Container::Gone).then(|| (FAILED, None, refused(pod)));
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
    } else if code == Some(ExitCode::FencedOut) {
        let message = said(format!("pod {} found a newer attempt at work", pod.name));
        (FAILED, End::disrupted(Disruption::Other, "FencedOut", message))
    } else if code == Some(ExitCode::PeerLost) {
        let message = said(format!("pod {} lost a peer", pod.name));
        // Where all say so it was the network between them.
        (ECHO, End::disrupted(Disruption::Other, "PeerLost", message))
    } else if let Some(code) = code.filter(|code| code.is_permanent()) {
        let why = report.map_or_else(|| format!("{code:?}"), |report| report.reason.clone());
        let message = said(format!("pod {} ended with code {exit_code}", pod.name));
        (PERMANENT, End::new(AttemptOutcome::PermanentFailure, &why, message))
    } else if *exit_code == 0 {
        return None;
    } else {
        let why = report.map_or_else(|| silent_reason(pod), |report| report.reason.clone());
        let message = said(describe_exit(pod, *exit_code, other.as_deref()));
        (FAILED, End::new(AttemptOutcome::Failed, &why, message))
    };
    Some((rank, *finished, End { report: report.cloned(), ..end }))
}

/// End by a pod that a node was found for and whose kubelet didn't take it: another pod, or a restart, was faster, and
/// the next attempt's pods may find other nodes.
fn refused(pod: &Pod) -> End {
    let reason = pod.reason.as_deref().unwrap_or("PodFailed");
    let message = pod.message.as_deref().unwrap_or("failed, and nothing is known of its containers");
    End::disrupted(Disruption::Other, reason, format!("pod {}: {message}", pod.name))
}

/// Reason of a worker that said nothing. A pod that used too much disk is evicted, with no DisruptionTarget.
fn silent_reason(pod: &Pod) -> String {
    match &pod.reason {
        Some(reason) if reason == "Evicted" => reason.clone(),
        _ => "WorkerFailed".into(),
    }
}

fn describe_exit(pod: &Pod, code: i32, said: Option<&str>) -> String {
    // What the container runtime says is of a command that it can't run.
    match (pod.message.as_deref().or(said), code) {
        (Some(message), _) => format!("pod {}: {message}", pod.name),
        (None, 137) => format!("pod {} was killed", pod.name),
        (None, code) => format!("pod {} ended with code {code} and said nothing", pod.name),
    }
}

fn out_of_memory(child: &Child, pod: &Pod) -> String {
    let template = template_field(child.key.kind);
    let limit = pod.memory_limit.as_ref().map_or_else(String::new, |limit| format!(" (its limit is {limit})"));
    format!(
        "pod {} ran out of memory{limit}; raise resources.limits.memory of the container `worker` in {template}",
        pod.name
    )
}

fn disrupted(pod: &Pod, reason: &str, message: &str) -> End {
    let why = match reason {
        "PreemptionByScheduler" => PREEMPTED,
        "DeletionByTaintManager" | "DeletionByPodGC" => NODE_FAILURE,
        "EvictionByEvictionAPI" | "TerminationByKubelet" => EVICTED,
        _ => "Disrupted",
    };
    End::disrupted(disruption_of(why), why, format!("pod {}: {message}", pod.name))
}

const PREEMPTED: &str = "Preempted";
const NODE_FAILURE: &str = "NodeFailure";
const EVICTED: &str = "Evicted";

/// What an end by this reason counts as.
pub(super) fn disruption_of(reason: &str) -> Disruption {
    match reason {
        PREEMPTED => Disruption::Preemption,
        NODE_FAILURE => Disruption::NodeFailure,
        EVICTED => Disruption::Eviction,
        _ => Disruption::Other,
    }
}
