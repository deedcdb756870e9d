//! Worker processes: started, watched, stopped.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::task::TaskFile;
use tokio::process::{Child, Command};

use super::gpus;
use super::interrupt::Interrupt;
use super::progress::Poll;
use crate::failure::Failure;
use crate::secrets::Environment;

/// How often a running worker's progress is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// How long the workers of one group may outlive the first of them that failed. Most end by themselves at once, since
/// they lose its connection; one that is still waiting for it to come doesn't notice.
const ECHO_GRACE: Duration = Duration::from_secs(5);

/// The worker program: `$TEASEL_WORKER`, or `teasel-worker` beside this program.
fn program() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("TEASEL_WORKER") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|error| Failure::local("can't find this program", error))?;
    let beside = own.with_file_name("teasel-worker");
    if beside.exists() {
        return Ok(beside);
    }
    Err(Failure::new(
        ExitCode::BadConfiguration,
        format!("there is no teasel-worker at {}: build it, or name it in TEASEL_WORKER", beside.display()),
    ))
}

/// A worker to start.
pub(super) struct Spec<'a> {
    /// Its task file.
    pub(super) file: &'a TaskFile,
    /// Its index.
    pub(super) index: u32,
    /// Where ranks meet, for training.
    pub(super) rendezvous: Option<String>,
    /// Its credentials.
    pub(super) environment: &'a Environment,
}

/// A worker that runs.
pub(super) struct Worker {
    child: Child,
    /// The worker ends when this does: it outlives no parent.
    _lifeline: Option<tokio::process::ChildStdin>,
    name: String,
    folder: PathBuf,
    /// Whether it was killed since another worker of its group had failed.
    is_echo: bool,
}

/// How a worker ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
}

impl Worker {
    /// Starts a worker whose files lie in `scratch`.
    pub(super) fn start(spec: &Spec<'_>, scratch: &Path) -> Result<Self, Failure> {
        let kind = spec.file.task.kind().as_str();
        let name = format!("{kind}-{}-{}", spec.index, uuid::Uuid::new_v4().simple());
        let folder = scratch.join(&name);
        let failed = |error: std::io::Error| Failure::local(&format!("can't start a worker for {kind}"), error);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let task = folder.join("task.json");
        let json = serde_json::to_vec_pretty(spec.file).map_err(|error| failed(error.into()))?;
        std::fs::write(&task, json).map_err(failed)?;
        let log = std::fs::File::create(folder.join("log")).map_err(failed)?;
        let mut command = Command::new(program()?);
        command
            .arg(kind)
            .arg("--task")
            .arg(task)
            .args(["--index", &spec.index.to_string(), "--listen", "127.0.0.1:0", "--lifeline"])
            .arg("--outcome")
            .arg(folder.join("outcome.json"))
            .arg("--address-file")
            .arg(folder.join("address"))
            .arg("--progress-file")
            .arg(folder.join("progress.json"))
            .arg("--detail-file")
            .arg(folder.join("detail"))
            .envs(spec.environment)
            .envs(gpus::of_worker(spec.file, spec.index))
            .env("TORCH_CPP_LOG_LEVEL", "ERROR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        if let Some(rendezvous) = &spec.rendezvous {
            command.args(["--rendezvous", rendezvous]);
        }
        let mut child = command.spawn().map_err(failed)?;
        Ok(Worker { _lifeline: child.stdin.take(), child, name, folder, is_echo: false })
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.child.id() {
            // It may have ended since: then there is nobody to tell.
            let _ = kill(Pid::from_raw(id as i32), signal);
        }
    }

    fn ended(&self, status: ExitStatus, file: &TaskFile) -> Ended {
        let written = std::fs::read(self.folder.join("outcome.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Outcome>(&bytes).ok());
        let mut outcome = written.unwrap_or_else(|| silent(file, &self.name, status, self.is_echo));
        // What the outcome must not say since it may end in a cluster's events, the person at this machine may read.
        if let Ok(detail) = std::fs::read_to_string(self.folder.join("detail")) {
            outcome.message = detail;
        }
        Ended { outcome }
    }
}

/// Runs workers side by side to their end; those that meet at a rendezvous end together. The first worker's progress goes to `poll`. An interrupt is passed on as
/// SIGTERM, a second one as SIGKILL.
pub(super) async fn run_all(
    specs: &[Spec<'_>],
    scratch: &Path,
    interrupt: &mut Interrupt,
    poll: &mut dyn Poll,
) -> Result<Vec<Ended>, Failure> {
    let mut workers = Vec::with_capacity(specs.len());
    for spec in specs {
        workers.push(Worker::start(spec, scratch)?);
    }
    let mut statuses: Vec<Option<ExitStatus>> = vec![None; workers.len()];
    let together = specs.iter().any(|spec| spec.rendezvous.is_some());
    let mut first_failure = None;
    let mut signals = 0;
    while statuses.iter().any(Option::is_none) {
        for (worker, status) in workers.iter_mut().zip(&mut statuses) {
            if status.is_none() {
                *status =
                    worker.child.try_wait().map_err(|error| Failure::local("can't wait for a worker", error))?;
            }
        }
        // A stop isn't a failure: the first worker may still be writing the checkpoint.
        let failed = |status: &ExitStatus| !status.success() && status.code() != Some(ExitCode::Stopped as i32);
        if together && statuses.iter().flatten().any(failed) {
            let since = *first_failure.get_or_insert_with(Instant::now);
            if since.elapsed() > ECHO_GRACE {
                for (worker, _) in workers.iter_mut().zip(&statuses).filter(|(_, status)| status.is_none()) {
                    worker.is_echo = true;
                    worker.signal(Signal::SIGKILL);
                }
            }
        }
        if interrupt.count() > signals {
            signals = interrupt.count();
            let signal = if signals == 1 { Signal::SIGTERM } else { Signal::SIGKILL };
            workers.iter().for_each(|worker| worker.signal(signal));
        }
        poll.poll(&workers[0].folder).await;
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = interrupt.wait_for_more(signals) => {}
        }
    }
    poll.finish(&workers[0].folder);
    Ok(workers
        .iter()
        .zip(statuses)
        .zip(specs)
        .filter_map(|((worker, status), spec)| Some(worker.ended(status?, spec.file)))
        .collect())
}

/// The outcome of a worker that wrote none.
fn silent(file: &TaskFile, name: &str, status: ExitStatus, is_echo: bool) -> Outcome {
    // A code of its own that isn't ours is a panic's.
    let code = status.code().map(|code| ExitCode::from_code(code).filter(|code| *code != ExitCode::Done));
    let code = code.map(|known| known.unwrap_or(ExitCode::Bug));
    let (code, reason, message) = if is_echo {
        (ExitCode::PeerLost, "PeerLost", format!("worker {name} was stopped since another one had failed"))
    } else {
        let message = format!("worker {name} ended without a word: {status}");
        (code.unwrap_or(ExitCode::TryAgain), "WorkerKilled", message)
    };
    Outcome::new(file.task.kind(), file.attempt, code, reason, message)
}
