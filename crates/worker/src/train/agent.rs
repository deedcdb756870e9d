//! The agent of one training worker: it starts the worker's ranks, passes signals on, and ends as they do.
//!
//! It never restarts a rank. In a cluster only the operator counts failures, and on one machine only `teasel run`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use teasel_api::outcome::{ExitCode, OUT_OF_MEMORY, Outcome};
use teasel_api::progress::Progress;
use teasel_api::task::{TaskFile, TrainTask};

use super::rendezvous;
use super::started_file;
use super::supervision::{Decision, RankEnd, supervise};
use crate::arguments::TrainArguments;
use crate::error::TaskError;
use crate::memory::MemoryWatch;
use crate::outcome;
use crate::signals::StopRequest;
use crate::telemetry::ProgressHandle;

/// How often children, signals and progress are looked at.
const TICK: Duration = Duration::from_millis(25);

struct Rank {
    number: u32,
    child: Child,
    end: Option<RankEnd>,
    outcome: PathBuf,
    progress: PathBuf,
}

/// Runs the ranks of worker `arguments.common.index` to their end, and returns the outcome of the one that decides.
pub(crate) fn run(
    file: &TaskFile,
    task: &TrainTask,
    arguments: &TrainArguments,
    stop: &StopRequest,
    progress: &ProgressHandle,
) -> Result<Outcome, TaskError> {
    let training = &task.job.training;
    let (worker, per_worker) = (arguments.common.index, training.processes_per_worker);
    if worker >= training.workers {
        return Err(TaskError::usage(format!(
            "worker {worker} of a job with {} workers: --index counts from 0",
            training.workers
        )));
    }
    // Agent 0 hosts the rendezvous, so that no rank's death takes it along.
    let _host = (worker == 0).then(|| rendezvous::host(&arguments.rendezvous)).transpose()?;
    let scratch = tempfile::tempdir().map_err(|source| TaskError::scratch("create a folder", source))?;
    let world = training.workers * per_worker;
    let memory = MemoryWatch::start();
    let mut ranks = (0..per_worker)
        .map(|local| start(worker * per_worker + local, world, arguments, scratch.path()))
        .collect::<Result<Vec<_>, _>>()?;

    let mut first_failure = None;
    let mut stopped = false;
    loop {
        if stop.is_made() && !stopped {
            stopped = true;
            end_unstarted(&mut ranks);
            signal_running(&ranks, Signal::SIGTERM);
        }
        for rank in ranks.iter_mut().filter(|rank| rank.end.is_none()) {
            if let Some(status) =
                rank.child.try_wait().map_err(|source| TaskError::scratch("wait for a rank", source))?
            {
                rank.end = Some(end_of(status));
            }
        }
        if let Some(newest) = read_progress(&ranks[0].progress) {
            progress.set(newest);
        }
        let ends: Vec<_> = ranks.iter().map(|rank| rank.end).collect();
        if first_failure.is_none()
            && ends.iter().flatten().any(|end| !matches!(end, RankEnd::Exited(ExitCode::Done)))
        {
            first_failure = Some(Instant::now());
        }
        match supervise(&ends, first_failure.map(|since| since.elapsed())) {
            Decision::Wait => std::thread::sleep(TICK),
            Decision::KillOthers => {
                signal_running(&ranks, Signal::SIGKILL);
                for rank in ranks.iter_mut().filter(|rank| rank.end.is_none()) {
                    // The kill is an echo of what already ended, never a cause.
                    let _ = rank.child.wait();
                    rank.end = Some(RankEnd::Exited(ExitCode::PeerLost));
                }
            }
            Decision::EndAs(index) => {
                if let Some(last) = read_progress(&ranks[0].progress) {
                    progress.set(last);
                }
                return Ok(outcome_of(&ranks[index], file, &memory));
            }
        }
    }
}

fn start(number: u32, world: u32, arguments: &TrainArguments, scratch: &Path) -> Result<Rank, TaskError> {
    let outcome = scratch.join(format!("rank-{number}.json"));
    let progress = scratch.join(format!("rank-{number}-progress.json"));
    let program = std::env::current_exe().map_err(|source| TaskError::scratch("find this program", source))?;
    let child = Command::new(program)
        .arg("rank")
        .arg("--task")
        .arg(&arguments.common.task)
        .args(["--rank", &number.to_string(), "--world", &world.to_string()])
        .args(["--rendezvous", &arguments.rendezvous])
        .arg("--outcome")
        .arg(&outcome)
        .arg("--progress")
        .arg(&progress)
        // The rank ends when this pipe does, that is, with the agent.
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|source| TaskError::scratch("start a rank", source))?;
    Ok(Rank { number, child, end: None, outcome, progress })
}

/// Ends the ranks that don't train yet. They wait for each other where no signal reaches them, maybe for peers that
/// were stopped before; and there is nothing yet to make a checkpoint of.
fn end_unstarted(ranks: &mut [Rank]) {
    for rank in ranks.iter_mut().filter(|rank| rank.end.is_none() && !started_file(&rank.outcome).exists()) {
        let _ = rank.child.kill();
        let _ = rank.child.wait();
        rank.end = Some(RankEnd::Exited(ExitCode::Stopped));
    }
}

fn signal_running(ranks: &[Rank], signal: Signal) {
    for rank in ranks.iter().filter(|rank| rank.end.is_none()) {
        // The rank may have ended since: then there is nobody to tell.
        let _ = kill(Pid::from_raw(rank.child.id() as i32), signal);
    }
}

fn end_of(status: std::process::ExitStatus) -> RankEnd {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from_code(code).map_or(RankEnd::Unknown(code), RankEnd::Exited),
        (None, signal) => RankEnd::Killed(signal.unwrap_or(0)),
    }
}

fn read_progress(file: &Path) -> Option<Progress> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn outcome_of(rank: &Rank, file: &TaskFile, memory: &MemoryWatch) -> Outcome {
    let written = std::fs::read(&rank.outcome).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    written.unwrap_or_else(|| {
        let (exit_code, reason, message) = unsaid(rank.number, rank.end, || memory.has_killed());
        outcome::ended(file, exit_code, reason, message)
    })
}

/// What became of a rank that has said nothing; `memory_ran_out` tells whether the kernel has killed for it.
fn unsaid(
    number: u32,
    end: Option<RankEnd>,
    memory_ran_out: impl FnOnce() -> bool,
) -> (ExitCode, &'static str, String) {
    match end {
        Some(RankEnd::Killed(signal)) if signal == Signal::SIGKILL as i32 && memory_ran_out() => {
            let message = format!("rank {number} was killed: the worker's limit of memory was reached");
            (ExitCode::TryAgain, OUT_OF_MEMORY, message)
        }
        Some(RankEnd::Killed(signal)) => {
            let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string());
            (ExitCode::TryAgain, "RankKilled", format!("rank {number} was killed by {name}"))
        }
        Some(RankEnd::Unknown(code)) => {
            (ExitCode::Bug, "RankFailed", format!("rank {number} ended with code {code} and said nothing"))
        }
        Some(RankEnd::Exited(ExitCode::Stopped)) => {
            (ExitCode::Stopped, "Stopped", format!("rank {number} was stopped before it trained"))
        }
        Some(RankEnd::Exited(ExitCode::PeerLost)) => {
            (ExitCode::PeerLost, "PeerLost", format!("rank {number} was ended since a fellow rank had failed"))
        }
        _ => (ExitCode::Bug, "RankFailed", format!("rank {number} ended and said nothing")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::out_of_memory(RankEnd::Killed(9), true, ExitCode::TryAgain, OUT_OF_MEMORY)]
    #[case::killed_by_somebody(RankEnd::Killed(9), false, ExitCode::TryAgain, "RankKilled")]
    #[case::crashed(RankEnd::Killed(11), true, ExitCode::TryAgain, "RankKilled")]
    #[case::unknown(RankEnd::Unknown(3), true, ExitCode::Bug, "RankFailed")]
    #[case::stopped(RankEnd::Exited(ExitCode::Stopped), true, ExitCode::Stopped, "Stopped")]
    #[case::echo(RankEnd::Exited(ExitCode::PeerLost), true, ExitCode::PeerLost, "PeerLost")]
    fn a_rank_that_says_nothing_is_told_by_how_it_ended(
        #[case] end: RankEnd,
        #[case] memory_ran_out: bool,
        #[case] exit_code: ExitCode,
        #[case] reason: &str,
    ) {
        let told = unsaid(2, Some(end), || memory_ran_out);
        assert_eq!((told.0, told.1), (exit_code, reason));
        assert!(told.2.starts_with("rank 2 "), "{}", told.2);
    }
}
