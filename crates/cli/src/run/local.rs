//! This machine: its workers, their files, and the lock that keeps two runs of a job apart.

use std::fs::File;
use std::path::Path;

use sha2::{Digest, Sha256};
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::task::{TASK_VERSION, Task, TaskFile};
use teasel_storage::Store;

use super::attempts;
use super::interrupt::Interrupt;
use super::process::{Ended, Spec, run_all};
use super::progress::Poll;
use crate::failure::Failure;
use crate::secrets::Environment;

/// Lines of a worker's log that are shown when it fails.
const LOG_LINES: usize = 15;

/// Runs workers on this machine.
pub(crate) struct Local {
    scratch: tempfile::TempDir,
    interrupt: Interrupt,
    incarnation: String,
    /// The command that goes on where this one was interrupted.
    command: String,
}

impl Local {
    /// No workers yet. `command` goes on where this one is interrupted.
    pub(crate) fn new(command: String, interrupt: Interrupt) -> Result<Self, Failure> {
        let scratch = tempfile::Builder::new().prefix("teasel-").tempdir();
        Ok(Local {
            scratch: scratch.map_err(|error| Failure::local("can't create a folder for workers", error))?,
            interrupt,
            incarnation: uuid::Uuid::new_v4().simple().to_string(),
            command,
        })
    }

    /// Number of cores that this process may use.
    pub(crate) fn cores() -> u32 {
        std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
    }

    /// Folder for the workers' files, removed in the end unless something failed.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A task file for this life of the job.
    pub(crate) fn task_file(&self, task: Task, attempt: u32, threads: u32) -> TaskFile {
        TaskFile {
            version: TASK_VERSION.into(),
            attempt,
            incarnation: self.incarnation.clone(),
            generation: 0,
            threads_per_process: threads.max(1),
            task,
        }
    }

    /// Runs one attempt of a task in a process per index, side by side, to the outcomes of all.
    pub(crate) async fn attempt(
        &mut self,
        file: &TaskFile,
        indices: &[u32],
        rendezvous: Option<&str>,
        environment: &Environment,
        poll: &mut dyn Poll,
    ) -> Result<Vec<Outcome>, Failure> {
        let specs: Vec<_> = indices
            .iter()
            .map(|index| Spec { file, index: *index, rendezvous: rendezvous.map(str::to_owned), environment })
            .collect();
        self.interrupt.set_workers_run(true);
        let ended = run_all(&specs, self.scratch.path(), &mut self.interrupt, poll).await;
        self.interrupt.set_workers_run(false);
        let ended = ended?;
        if let Some(signal) = self.interrupt.signal() {
            return Err(self.interrupted(signal, &ended));
        }
        Ok(ended.into_iter().map(|ended| ended.outcome).collect())
    }

    /// Runs a task in one process to a good end, or says why not.
    pub(crate) async fn task(
        &mut self,
        task: Task,
        attempt: u32,
        environment: &Environment,
        poll: &mut dyn Poll,
    ) -> Result<Outcome, Failure> {
        let file = self.task_file(task, attempt, Self::cores());
        let outcomes = self.attempt(&file, &[0], None, environment, poll).await?;
        let outcome = attempts::cause(&outcomes).cloned();
        let outcome = outcome.ok_or_else(|| Failure::new(ExitCode::Bug, "a task without an outcome"))?;
        if outcome.exit_code == ExitCode::Done { Ok(outcome) } else { Err(self.failed(&outcome)) }
    }

    /// The failure that an outcome stands for. The workers' files are kept for whoever looks into it.
    pub(crate) fn failed(&mut self, outcome: &Outcome) -> Failure {
        let mut message = format!("{}: {}", outcome.reason, outcome.message);
        self.scratch.disable_cleanup(true);
        let folder = self.scratch.path();
        if matches!(outcome.exit_code, ExitCode::Bug | ExitCode::TryAgain) {
            message.push_str(&tails(folder));
        }
        message.push_str(&format!("\nthe workers' logs are in {}", folder.display()));
        Failure::new(outcome.exit_code, message)
    }

    fn interrupted(&self, signal: i32, ended: &[Ended]) -> Failure {
        let step = ended.iter().filter_map(|ended| ended.outcome.last_step).max();
        let kept = match step {
            Some(step) => format!("interrupted; a checkpoint of step {step} is kept"),
            None => "interrupted; what was finished is kept".to_owned(),
        };
        let outcomes = ended.iter().map(|ended| &ended.outcome);
        let expected = [ExitCode::Done, ExitCode::Stopped, ExitCode::PeerLost];
        let failures: String = outcomes
            .filter(|outcome| !expected.contains(&outcome.exit_code))
            .map(|outcome| format!("\n{}: {}", outcome.reason, outcome.message))
            .collect();
        Failure::Interrupted { signal, message: format!("{kept}. Go on with: {}{failures}", self.command) }
    }
}

/// This process's command line, as one would type it again.
pub(crate) fn command_line() -> String {
    let word = |argument: String| {
        let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:@=,".contains(letter);
        if argument.chars().all(is_plain) { argument } else { format!("'{}'", argument.replace('\'', "'\\''")) }
    };
    let arguments = std::env::args_os().skip(1).map(|argument| word(argument.to_string_lossy().into_owned()));
    std::iter::once("teasel".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// The ends of the workers' logs.
fn tails(folder: &Path) -> String {
    let mut text = String::new();
    let workers = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for worker in workers {
        let Ok(log) = std::fs::read_to_string(worker.path().join("log")) else { continue };
        let lines: Vec<_> = log.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
            text.push_str(&format!("\n  {}: {line}", worker.file_name().to_string_lossy()));
        }
    }
    text
}

/// Takes the lock of a job's storage on this machine; it is released when what is returned is dropped.
pub(super) fn lock(job: &str, storage: &Store) -> Result<File, Failure> {
    let server = storage.endpoint().unwrap_or_default();
    let name = hex::encode(Sha256::digest(format!("{server}\n{}\n{job}", storage.uri())));
    let folder = std::env::temp_dir().join(format!("teasel-locks-{}", nix::unistd::getuid()));
    let failed = |error| Failure::local("can't take the job's lock", error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let path = folder.join(&name[..16]);
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::new(
            ExitCode::TryAgain,
            format!("the job {job} is being run on this machine already; wait for it or stop it"),
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use teasel_api::location::Location;
    use teasel_storage::Credentials;

    use super::*;

    fn bucket(endpoint: &str) -> Store {
        let keys = [("aws_access_key_id", "key"), ("aws_secret_access_key", "secret"), ("aws_endpoint", endpoint)];
        let pairs = keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let location = Location { uri: format!("s3://films-{}/a", std::process::id()), secret_ref: None };
        Store::open(&location, &Credentials::from_pairs(pairs)).unwrap()
    }

    #[test]
    fn runs_of_a_job_wait_for_each_other_only_on_the_same_server() {
        let one = bucket("https://one.example");
        let held = lock("films", &one).unwrap();
        assert_eq!(lock("films", &one).unwrap_err().exit_code(), ExitCode::TryAgain as u8);
        lock("books", &one).unwrap();
        lock("films", &one.sub("b")).unwrap();
        lock("films", &bucket("https://two.example")).unwrap();
        drop(held);
        lock("films", &one).unwrap();
    }
}
