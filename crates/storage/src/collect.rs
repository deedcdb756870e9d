//! Collection of an owner's former runs, and of datasets that no run names.

mod datasets;
mod runs;

use teasel_api::task::CollectTask;

use crate::run_log::{LogError, Writer};
use crate::{Store, checkpoint};

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Runs.
    pub runs: Vec<String>,
    /// Folders of datasets and of tenants' users.
    pub datasets: Vec<String>,
}

/// Collects what `history` doesn't keep, at the end of the run that `writer` owns: the run's own checkpoints but the
/// newest and the best, the owner's former runs with their models, and what was prepared for none but them. `now` is
/// in milliseconds since 1970.
///
/// A run of another owner is never touched, nor one that `keep` lists, nor one whose sequence isn't below this run's.
pub async fn collect(
    storage: &Store,
    writer: &mut Writer,
    task: &CollectTask,
    now: i64,
) -> Result<Collected, LogError> {
    checkpoint::collect(writer, 1).await?;
    let claim = writer.log().state().newest_claim().map(|(_, claim)| claim.clone());
    let runs = match claim {
        Some(claim) => runs::collect(storage, task, &claim, now).await?,
        None => Vec::new(),
    };
    Ok(Collected { runs, datasets: datasets::collect(storage, now).await? })
}

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;
