//! From the command line to a task, and from its end to an exit code.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use teasel_api::outcome::Outcome;
use teasel_api::task::{TASK_VERSION, Task, TaskFile, TaskKind};
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command, TaskArguments};
use crate::error::TaskError;
use crate::signals::{self, StopRequest};
use crate::telemetry::{self, ProgressHandle};
use crate::{collect, evaluate, inspect, outcome, prepare, publish, score, train};

/// Environment variable that says which life of the attempt this is, instead of the task file.
const INCARNATION: &str = "TEASEL_INCARNATION";

/// What a task is given beside its own part of the task file.
pub(crate) struct TaskContext<'a> {
    pub(crate) file: &'a TaskFile,
    pub(crate) index: u32,
    pub(crate) stop: &'a StopRequest,
    pub(crate) progress: &'a ProgressHandle,
}

/// Runs the task that the command line names.
///
/// # Errors
/// Only where there is no task to speak of: an unreadable task file, no signal handlers. A task's own errors are its
/// outcome.
pub fn main() -> anyhow::Result<ExitCode> {
    outcome::start();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            error.print().context("can't print")?;
            // Help and version end well; clap's own code for the rest is 2.
            let usage = teasel_api::outcome::ExitCode::Usage as u8;
            return Ok(if error.use_stderr() { ExitCode::from(usage) } else { ExitCode::SUCCESS });
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("TEASEL_LOG").unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let stop = StopRequest::on_sigterm().context("can't handle signals")?;
    let (kind, common) = match &arguments.command {
        Command::Rank(rank) => return train::rank_main(rank, &stop),
        Command::Train(train) => (TaskKind::Train, &train.common),
        Command::Inspect(task) => (TaskKind::Inspect, task),
        Command::Prepare(task) => (TaskKind::Prepare, task),
        Command::Evaluate(task) => (TaskKind::Evaluate, task),
        Command::Score(task) => (TaskKind::Score, task),
        Command::Publish(task) => (TaskKind::Publish, task),
        Command::Collect(task) => (TaskKind::Collect, task),
        Command::Measure(task) => (TaskKind::Measure, task),
    };
    if common.lifeline {
        signals::end_with_parent();
    }
    let file = match read_task(&common.task) {
        Ok(file) if file.task.kind() == kind => file,
        Ok(file) => {
            return Ok(usage(&format!(
                "the task file asks to {:?}, the command line to {kind:?}",
                file.task.kind()
            )));
        }
        Err(message) => return Ok(usage(&message)),
    };
    let progress = ProgressHandle::new(kind);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    serve(&runtime, common, &progress);
    let context = TaskContext { file: &file, index: common.index, stop: &stop, progress: &progress };
    let result = match (&file.task, &arguments.command) {
        (Task::Train(task), Command::Train(arguments)) => train::agent(&file, task, arguments, &stop, &progress),
        (task, _) => runtime.block_on(run(task, &context)),
    };
    if let Some(path) = &common.progress_file {
        let last = serde_json::to_vec(&progress.get()).unwrap_or_default();
        if let Err(error) = std::fs::write(path, last) {
            tracing::debug!("no progress written to {}: {error}", path.display());
        }
    }
    let ended = result.unwrap_or_else(|error| {
        if let (TaskError::Data(error), Some(path)) = (&error, &common.detail_file) {
            // The outcome says the same without the value.
            let _ = std::fs::write(path, error.to_string());
        }
        error.outcome(&file)
    });
    let code = end(&ended, &common.outcome);
    // A stop doesn't wait for work on threads that can't be cancelled.
    runtime.shutdown_background();
    Ok(code)
}

async fn run(task: &Task, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let work = async {
        match task {
            Task::Inspect(task) => inspect::run(task, context).await,
            Task::Prepare(task) => prepare::run(task, context).await,
            Task::Evaluate(task) => evaluate::run(task, context).await,
            Task::Score(task) => score::run(task, context).await,
            Task::Publish(task) => publish::run(task, context).await,
            Task::Collect(task) => collect::run(task, context).await,
            Task::Measure(task) => evaluate::again(task, context).await,
            Task::Train(_) => Err(TaskError::bug("training has an agent of its own")),
        }
    };
    // All but training commit what they have done in one write, so there is nothing to save at a stop.
    tokio::select! {
        result = work => result,
        () = context.stop.made() => Err(TaskError::Stopped { last_step: None }),
    }
}

fn serve(runtime: &tokio::runtime::Runtime, arguments: &TaskArguments, progress: &ProgressHandle) {
    let (listen, file, progress) = (arguments.listen, arguments.address_file.clone(), progress.clone());
    runtime.spawn(async move {
        if let Err(error) = telemetry::serve(listen, file.as_deref(), progress).await {
            tracing::warn!("no telemetry at {listen}: {error}");
        }
    });
}

/// Reads a task file of our version.
pub(crate) fn read_task(path: &Path) -> Result<TaskFile, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let mut file: TaskFile =
        serde_json::from_slice(&bytes).map_err(|error| format!("{} is no task file: {error}", path.display()))?;
    if file.version != TASK_VERSION {
        return Err(format!("{} is of version {}, this worker reads {TASK_VERSION}", path.display(), file.version));
    }
    // In a cluster the attempt's life is its Job's, whose UID isn't known yet when the file is made. Ranks inherit it.
    if let Ok(incarnation) = std::env::var(INCARNATION) {
        file.incarnation = incarnation;
    }
    Ok(file)
}

/// Logs and writes an outcome, and turns it into this process's exit code.
pub(crate) fn end(ended: &Outcome, path: &Path) -> ExitCode {
    match ended.exit_code {
        teasel_api::outcome::ExitCode::Done => tracing::info!(reason = %ended.reason, "{}", ended.message),
        _ => tracing::error!(reason = %ended.reason, "{}", ended.message),
    }
    outcome::write(ended, path);
    ExitCode::from(ended.exit_code as u8)
}

pub(crate) fn usage(message: &str) -> ExitCode {
    tracing::error!("{message}");
    ExitCode::from(teasel_api::outcome::ExitCode::Usage as u8)
}
