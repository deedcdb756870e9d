//! The `inspect` task: reads an outcome from where it is durable and emits it again.
//!
//! A pod's termination message is gone with its node; what the task did is not.

use teasel_api::location::Location;
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::resolved::Data;
use teasel_api::task::{InspectTask, PublishAction, PublishTask, TaskKind};
use teasel_data::Places;
use teasel_storage::output::{OutputLog, Scores};
use teasel_storage::run_log::RunLog;

use crate::error::TaskError;
use crate::worker::TaskContext;
use crate::{outcome, places, score};

/// Emits the outcome that `task` asks for.
///
/// # Errors
/// [`TaskError::Missing`] where the task in question hasn't ended.
pub(crate) async fn run(task: &InspectTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    match task {
        InspectTask::Prepare { storage, data } => inspect_dataset(storage, data, context).await,
        InspectTask::Run { storage, run, task } => inspect_run(storage, run, *task).await,
        InspectTask::Score { score } => score::inspect(score, context).await,
        InspectTask::Publish { publish } => inspect_output(publish, context).await,
    }
}

async fn inspect_dataset(
    location: &Location,
    data: &Data,
    context: &TaskContext<'_>,
) -> Result<Outcome, TaskError> {
    let storage = places::storage(location)?;
    let fingerprint = teasel_data::fingerprint(data, &Places::open(data)?).await?;
    if !teasel_data::is_prepared(&storage, &fingerprint, &[]).await? {
        return Err(TaskError::Missing("the dataset isn't prepared".into()));
    }
    let mut ended = outcome::ended(context.file, ExitCode::Done, "Prepared", "the dataset is prepared");
    ended.dataset = Some(fingerprint);
    Ok(ended)
}

async fn inspect_run(location: &Location, run: &str, task: TaskKind) -> Result<Outcome, TaskError> {
    let log = RunLog::open(&places::storage(location)?, run).await?;
    let newest = log.state().newest_outcome_of(task);
    newest.cloned().ok_or_else(|| TaskError::Missing(format!("run {run} has no end of {task:?}")))
}

async fn inspect_output(task: &PublishTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let output = places::open(&task.output, "output")?;
    let log = OutputLog::open(&output).await?;
    let current = log.state().current().map(|(_, version)| version);
    let (PublishAction::Publish { run, .. } | PublishAction::Rollback { to: run, .. }) = &task.action else {
        let (reason, message) =
            if log.state().is_held() { ("Held", "a rollback holds") } else { ("Released", "nothing is held") };
        return Ok(outcome::ended(context.file, ExitCode::Done, reason, message));
    };
    let points = current.is_some_and(|current| &current.run == run);
    let reason = if points { "Published" } else { "NotPublished" };
    let mut ended = outcome::ended(context.file, ExitCode::Done, reason, format!("asked about run {run}"));
    ended.published = Some(points);
    if let Some(current) = current.filter(|_| points) {
        ended.users = Scores::new(&output, current).manifest().await?.map(|found| found.users);
        ended.score_hash = Some(current.score_hash.clone());
    }
    Ok(ended)
}
