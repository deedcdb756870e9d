//! The `prepare` task.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::resolved::Split;
use teasel_api::task::PrepareTask;
use teasel_data::{DataError, Options, Places, Prepared, Report};

use crate::error::TaskError;
use crate::worker::TaskContext;
use crate::{outcome, places};

/// Prepares the dataset and the tenants' users, where they aren't prepared yet.
pub(crate) async fn run(task: &PrepareTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let storage = places::storage(&task.storage)?;
    let inputs = Places::open(&task.data)?;
    let options = Options {
        memory_bytes: usize::try_from(task.memory_bytes).unwrap_or(usize::MAX) as _,
        scratch: task.scratch.as_ref().map_or_else(std::env::temp_dir, PathBuf::from),
        partitions: context.file.threads_per_process.max(1) as usize,
        usage: outcome::usage,
    };
    let counter = Arc::new(teasel_data::Progress::default());
    let report = report_progress(Arc::clone(&counter), context);
    let prepared = tokio::select! {
        prepared = teasel_data::prepare(&task.data, &inputs, &storage, &task.tenants, &options, &counter) => prepared?,
        never = report => never,
    };
    refuse_nobody_held_out(&task.data.split, &prepared.report)?;
    Ok(describe(&prepared, context))
}

/// Refuses data too small for its split: without validation users no epoch is the best, and without test users every
/// metric is 0. Shares of 0 are taken at their word.
fn refuse_nobody_held_out(split: &Split, report: &Report) -> Result<(), DataError> {
    let (validation, test) = match split {
        Split::StrongGeneralization { validation, test, .. } => (*validation > 0.0, *test > 0.0),
        Split::LeaveLastOut | Split::Provided { .. } => (true, true),
    };
    let users = report.users;
    match (report.validation_users, report.test_users) {
        (0, _) if validation => Err(DataError::NobodyHeldOut { set: "validation", users }),
        (_, 0) if test => Err(DataError::NobodyHeldOut { set: "test", users }),
        _ => Ok(()),
    }
}

/// Copies the counter into the progress, for ever.
async fn report_progress(counter: Arc<teasel_data::Progress>, context: &TaskContext<'_>) -> Prepared {
    loop {
        context
            .progress
            .update(|progress| progress.message = format!("{}: {} rows", counter.stage(), counter.rows()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn describe(prepared: &Prepared, context: &TaskContext<'_>) -> Outcome {
    let report = &prepared.report;
    let message = format!(
        "{} users, {} items and {} interactions of {} rows{}",
        report.users,
        report.items,
        report.interactions,
        report.rows,
        if prepared.dataset_made { "" } else { ", prepared before" }
    );
    let message = match report.drops() {
        Some(drops) => format!("{message}; dropped: {drops}"),
        None => message,
    };
    let mut outcome = outcome::ended(context.file, ExitCode::Done, "Prepared", message);
    outcome.dataset = Some(prepared.fingerprint.clone());
    outcome.metrics = [
        ("data/rows", report.rows as f64),
        ("data/users", report.users as f64),
        ("data/items", report.items as f64),
        ("data/interactions", report.interactions as f64),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    outcome
}
