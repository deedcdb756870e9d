//! The `publish` task.

use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::task::{PublishAction, PublishTask};
use teasel_storage::output::{OutputLog, PublishOutcome, PublishRequest, ReleaseOutcome, RollbackOutcome, Version};

use crate::error::TaskError;
use crate::worker::TaskContext;
use crate::{outcome, places};

/// Moves a tenant's pointer, or says why not.
pub(crate) async fn run(task: &PublishTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let output = places::open(&task.output, "output")?;
    let mut log = OutputLog::open(&output).await?;
    let (reason, message, published) = match &task.action {
        PublishAction::Publish { run, score_hash, take_over } => {
            let version = Version { run: run.clone(), score_hash: score_hash.clone() };
            let request = PublishRequest { version, ownership: task.ownership.clone(), take_over: *take_over };
            let (reason, message, published) = describe_publish(&log.publish(&request).await?, run)?;
            (reason, message, Some(published))
        }
        PublishAction::Rollback { to, hold } => match log.rollback(to, *hold).await? {
            RollbackOutcome::RolledBack(_) => ("RolledBack", format!("points to run {to} again"), Some(true)),
            RollbackOutcome::AlreadyThere(_) => ("AlreadyThere", format!("points to run {to} already"), Some(true)),
            RollbackOutcome::NotPublished => {
                return Err(TaskError::Configuration(format!(
                    "run {to} was never published for tenant {}",
                    task.tenant
                )));
            }
            RollbackOutcome::Removed => {
                return Err(TaskError::Missing(format!("the lists of run {to} have been removed by `history`")));
            }
        },
        PublishAction::Release => match log.release().await? {
            ReleaseOutcome::Released => ("Released", "later runs may be published again".to_owned(), None),
            ReleaseOutcome::NotHeld => ("NotHeld", "nothing is held".to_owned(), None),
        },
    };
    log.remove_former(&task.history, teasel_storage::now_milliseconds()).await?;
    let mut ended = outcome::ended(context.file, ExitCode::Done, reason, message);
    ended.published = published;
    Ok(ended)
}

/// Reason, sentence and whether the output points to `run` now. Held and Superseded are outcomes, not failures.
pub(crate) fn describe_publish(
    result: &PublishOutcome,
    run: &str,
) -> Result<(&'static str, String, bool), TaskError> {
    Ok(match result {
        PublishOutcome::Published => ("Published", format!("run {run} is published"), true),
        PublishOutcome::AlreadyPublished { current: true } => {
            ("Published", format!("run {run} was published before"), true)
        }
        PublishOutcome::AlreadyPublished { current: false } => {
            ("RolledBack", format!("run {run} was published before, and somebody has gone back from it"), false)
        }
        PublishOutcome::Held => ("Held", "a rollback holds; release it to publish again".into(), false),
        PublishOutcome::Superseded { by } => {
            ("Superseded", format!("run {} has been published since", by.run), false)
        }
        PublishOutcome::OtherOwner { owner } => {
            return Err(TaskError::Configuration(format!(
                "the output belongs to {owner}; give this job an output of its own, or publish with --take-over"
            )));
        }
        PublishOutcome::NotScored => {
            return Err(TaskError::Missing(format!("run {run} has no whole lists here: score it first")));
        }
    })
}
