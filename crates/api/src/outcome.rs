//! How a worker ends: its exit code and its termination message.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::TaskKind;

/// Exit codes of `teasel-worker`, after sysexits(3) where they fit.
///
/// 64, 65, 66, 77 and 78 are permanent: the same attempt would end the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ExitCode {
    /// The task did what it was asked, or found it done.
    Done = 0,
    /// The command line or task file is wrong.
    Usage = 64,
    /// Input data is wrong.
    BadData = 65,
    /// Input is missing.
    InputMissing = 66,
    /// A peer of the process group went away: an echo of another process's failure.
    PeerLost = 68,
    /// The object store can't be reached or answers with server errors.
    StorageUnavailable = 69,
    /// A bug in Teasel.
    Bug = 70,
    /// A passing condition.
    TryAgain = 75,
    /// A newer attempt owns the run.
    FencedOut = 76,
    /// Credentials were refused.
    PermissionDenied = 77,
    /// The job's configuration can't work.
    BadConfiguration = 78,
    /// Stopped by SIGTERM, after a checkpoint where there is one to make.
    Stopped = 143,
}

impl ExitCode {
    /// Every code, for looking one up.
    pub const ALL: [ExitCode; 12] = [
        ExitCode::Done,
        ExitCode::Usage,
        ExitCode::BadData,
        ExitCode::InputMissing,
        ExitCode::PeerLost,
        ExitCode::StorageUnavailable,
        ExitCode::Bug,
        ExitCode::TryAgain,
        ExitCode::FencedOut,
        ExitCode::PermissionDenied,
        ExitCode::BadConfiguration,
        ExitCode::Stopped,
    ];

    /// The code with this number, if it is one of ours.
    pub fn from_code(code: i32) -> Option<ExitCode> {
        ExitCode::ALL.into_iter().find(|exit| *exit as i32 == code)
    }

    /// Whether another attempt at the same spec would end the same way.
    pub fn is_permanent(self) -> bool {
        matches!(
            self,
            ExitCode::Usage
                | ExitCode::BadData
                | ExitCode::InputMissing
                | ExitCode::PermissionDenied
                | ExitCode::BadConfiguration
        )
    }
}

/// The last thing a worker writes: what became of its task. At most 4,096 bytes of JSON in a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The task that ended.
    pub task: TaskKind,
    /// Number of the attempt.
    pub attempt: u32,
    /// The process's exit code.
    pub exit_code: ExitCode,
    /// CamelCase reason, the same vocabulary as the conditions: `Succeeded`, `GateNotMet`, `Held`, `BadRows`, ….
    pub reason: String,
    /// A sentence for people: what happened and what to do. Never holds values from people's data.
    pub message: String,
    /// Metrics by name, such as `ndcg@100`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// The last training step that is durable, where the task trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// The peer that was lost, with exit code 68.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<u32>,
    /// Fingerprint of the dataset, from prepare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Users scored, from score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    /// Hash over everything that decides a tenant's lists, from score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_hash: Option<String>,
    /// Whether this outcome made (or found) the tenant's output point at this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<bool>,
    /// What it took. Unset by earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What a process of a task took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// The most memory that it had at once, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// Reason of an evaluation whose model isn't good enough to publish.
pub const GATE_NOT_MET: &str = "GateNotMet";

/// Reason of a shard that isn't the last one of its tenant: it knows nothing of the whole.
pub const SHARD_SCORED: &str = "ShardScored";

/// Reason of a worker one of whose processes was killed for want of memory.
pub const OUT_OF_MEMORY: &str = "OutOfMemory";

/// Reason of training on GPUs by an image that has no CUDA.
pub const NO_CUDA: &str = "NoCuda";

/// Reason of training on GPUs where there are none, or too few.
pub const NO_GPU: &str = "NoGpu";

/// Longest termination message that Kubernetes keeps, in bytes.
pub const MAXIMUM_MESSAGE_BYTES: usize = 4096;

impl Outcome {
    /// An end of an attempt at `task`, with nothing more to tell.
    pub fn new(
        task: TaskKind,
        attempt: u32,
        exit_code: ExitCode,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Outcome {
            task,
            attempt,
            exit_code,
            reason: reason.into(),
            message: message.into(),
            metrics: BTreeMap::new(),
            last_step: None,
            peer: None,
            dataset: None,
            users: None,
            score_hash: None,
            published: None,
            usage: None,
        }
    }

    /// The outcome as JSON of at most [`MAXIMUM_MESSAGE_BYTES`]: metrics give way, those of tenants and facets first, then
    /// the message's tail.
    pub fn to_termination_message(&self) -> String {
        let render = |outcome: &Outcome| serde_json::to_string(outcome).unwrap_or_default();
        let mut outcome = self.clone();
        let mut text = render(&outcome);
        // What is measured of parts goes before what is measured of the whole.
        let gives_way: [fn(&str) -> bool; 4] =
            [|name| name.starts_with("tenants/"), |name| name.contains('/'), |name| name != "ndcg@100", |_| true];
        for gives_way in gives_way {
            if text.len() > MAXIMUM_MESSAGE_BYTES {
                outcome.metrics.retain(|name, _| !gives_way(name));
                text = render(&outcome);
            }
        }
        while text.len() > MAXIMUM_MESSAGE_BYTES && !outcome.message.is_empty() {
            let excess = text.len() - MAXIMUM_MESSAGE_BYTES + '…'.len_utf8();
            let mut end = outcome.message.len().saturating_sub(excess.max(8));
            while !outcome.message.is_char_boundary(end) {
                end -= 1;
            }
            outcome.message.truncate(end);
            if !outcome.message.is_empty() {
                outcome.message.push('…');
            }
            text = render(&outcome);
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outcome(message: String) -> Outcome {
        Outcome {
            metrics: (0..200).map(|k| (format!("ndcg@{k}"), 0.5)).collect(),
            last_step: Some(7),
            ..Outcome::new(TaskKind::Train, 3, ExitCode::Bug, "Bug", message)
        }
    }

    #[test]
    fn metrics_of_many_tenants_give_way_to_those_of_all() {
        let mut outcome = outcome(String::new());
        let names = (0..60).map(|number| format!("tenants/{number}-{}/ndcg@100", "x".repeat(60)));
        outcome.metrics =
            names.chain(["facets/independence".into(), "ndcg@100".into()]).map(|name| (name, 0.5)).collect();
        let back: Outcome = serde_json::from_str(&outcome.to_termination_message()).unwrap();
        assert_eq!(back.metrics.keys().collect::<Vec<_>>(), ["facets/independence", "ndcg@100"]);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character_and_stays_json() {
        for length in [0, 100, 4000, 4096, 10_000] {
            let text = outcome("é\"\n".repeat(length)).to_termination_message();
            assert!(text.len() <= MAXIMUM_MESSAGE_BYTES, "{} bytes", text.len());
            let back: Outcome = serde_json::from_str(&text).unwrap();
            assert_eq!(back.last_step, Some(7));
        }
    }

    #[test]
    fn every_exit_code_is_found_by_its_number() {
        for exit in ExitCode::ALL {
            assert_eq!(ExitCode::from_code(exit as i32), Some(exit));
        }
        assert_eq!(ExitCode::from_code(1), None);
    }
}
