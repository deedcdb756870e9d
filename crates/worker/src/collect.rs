//! The `collect` task.

use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::task::{CollectTask, TaskKind};
use teasel_storage::run_log::{Claimed, Event, RunLog};

use crate::error::TaskError;
use crate::train::claim_of;
use crate::worker::TaskContext;
use crate::{outcome, places};

/// Deletes what `history` doesn't keep, and finishes the run.
pub(crate) async fn run(task: &CollectTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let storage = places::storage(&task.storage)?;
    let log = RunLog::open(&storage, &task.run).await?;
    let claim = claim_of(context.file, &log, TaskKind::Collect, 1, String::new());
    let mut writer = match log.claim(claim).await? {
        Claimed::AlreadyDone(outcome) => return Ok(*outcome),
        Claimed::Writer(writer) => writer,
    };
    let collected =
        teasel_storage::collect::collect(&storage, &mut writer, task, teasel_storage::now_milliseconds()).await?;
    let message = format!("{} runs and {} datasets collected", collected.runs.len(), collected.datasets.len());
    let ended = outcome::ended(context.file, ExitCode::Done, "Finished", message);
    writer.append(Event::Finished { outcome: ended.clone() }).await?;
    Ok(ended)
}
