//! Which former runs go, and how.

use serde::Deserialize;
use teasel_api::task::{CollectTask, Ownership, TaskKind};

use super::DAY;
use crate::manifest::RETIRED;
use crate::run_log::{Claim, LogError, RunLog, RunState};
use crate::{RunRecord, StorageError, Store};

/// What collection needs to know of a `run.json`, which another release may have written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) run: String,
    pub(super) ownership: Ownership,
    pub(super) dataset: String,
}

/// All runs of a storage place.
pub(super) async fn summaries(storage: &Store) -> Result<Vec<Summary>, StorageError> {
    let mut summaries = Vec::new();
    for run in storage.folders("runs").await? {
        summaries.extend(storage.get_json(&format!("{}/run.json", RunRecord::folder(&run))).await?);
    }
    Ok(summaries)
}

/// Deletes the former runs that `task` doesn't keep, and returns their names.
pub(super) async fn collect(
    storage: &Store,
    task: &CollectTask,
    claim: &Claim,
    now: i64,
) -> Result<Vec<String>, LogError> {
    let mut gone = Vec::new();
    for run in superfluous(&summaries(storage).await?, task, now) {
        if delete(storage, &run, claim).await? {
            gone.push(run);
        }
    }
    Ok(gone)
}

/// Runs that may go: of the task's owner, former to the task's run, beyond the newest ones that `history` keeps or
/// older than its days, and not listed in `keep`.
fn superfluous(runs: &[Summary], task: &CollectTask, now: i64) -> Vec<String> {
    let Some(own) = runs.iter().find(|summary| summary.run == task.run) else {
        return Vec::new();
    };
    let mut former: Vec<&Summary> = runs
        .iter()
        .filter(|summary| {
            summary.ownership.owner == task.owner && summary.ownership.sequence < own.ownership.sequence
        })
        .collect();
    former.sort_by(|left, right| {
        right.ownership.sequence.cmp(&left.ownership.sequence).then(right.run.cmp(&left.run))
    });
    let oldest = now.saturating_sub(i64::from(task.history.days).saturating_mul(DAY));
    let keep = usize::try_from(task.history.runs).unwrap_or(usize::MAX);
    former
        .into_iter()
        .enumerate()
        .filter(|(place, summary)| *place >= keep || summary.ownership.sequence < oldest)
        .map(|(_, summary)| summary.run.clone())
        .filter(|run| !task.keep.contains(run))
        .collect()
}

/// Whether nothing is left to do for a run: it was published, or a gate kept it from that.
fn has_ended(state: &RunState) -> bool {
    let evaluated = state.newest_outcome_of(TaskKind::Evaluate);
    state.outcome_of(TaskKind::Collect, "").is_some()
        || evaluated.is_some_and(|outcome| outcome.reason == teasel_api::outcome::GATE_NOT_MET)
}

/// Deletes a run; `false` where it has not ended, or an attempt of it turned out to be alive.
///
/// The marker says that the run goes, then a claim shuts its attempts out, then the files go, `run.json` last, so that
/// the next collection finds what is left if this one dies. The marker stays: the run's names are never used again.
async fn delete(storage: &Store, run: &str, own: &Claim) -> Result<bool, LogError> {
    let folder = storage.sub(&RunRecord::folder(run));
    let log = RunLog::open(storage, run).await?;
    // One that is retired already may have lost part of its log to a collector that died.
    if !has_ended(log.state()) && !RunRecord::was_collected(storage, run).await? {
        return Ok(false);
    }
    let claim = Claim {
        task: TaskKind::Collect,
        attempt: log.state().next_attempt(),
        incarnation: format!("collected by {}", own.incarnation),
        nonce: crate::nonce(),
        // Its former end doesn't answer this claim.
        subject: "collected".into(),
        ..own.clone()
    };
    folder.put(RETIRED, claim.incarnation.clone().into()).await?;
    match log.claim_even_retired(claim).await {
        Ok(_) => {}
        Err(LogError::Fenced { by, .. }) => {
            // Another collector of the same run needs the marker; an attempt that is alive needs it gone.
            if by.task != TaskKind::Collect {
                folder.delete(RETIRED).await?;
            }
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    storage.delete_all(&format!("models/{run}")).await?;
    for (path, _) in folder.list("").await? {
        if path != RETIRED && path != "run.json" {
            folder.delete(&path).await?;
        }
    }
    folder.delete("run.json").await?;
    folder.remove_deleted_folders("").await;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use teasel_api::location::Location;
    use teasel_api::resolved::History;

    use super::*;

    fn summary(run: &str, owner: &str, day: i64) -> Summary {
        let ownership = Ownership { owner: owner.into(), sequence: day * DAY };
        Summary { run: run.into(), ownership, dataset: "d".into() }
    }

    #[rstest]
    #[case::by_number(2, 90, &[], &["r2", "r1"])]
    #[case::by_age(9, 2, &[], &["r2", "r1"])]
    #[case::by_neither(9, 90, &[], &[])]
    #[case::never_what_is_listed(0, 90, &["r3", "r1"], &["r4", "r2"])]
    fn former_runs_go(#[case] runs: u32, #[case] days: u32, #[case] keep: &[&str], #[case] expected: &[&str]) {
        let mut all: Vec<_> = (1..=7).map(|day| summary(&format!("r{day}"), "me", day)).collect();
        all.push(summary("theirs", "them", 1));
        let task = CollectTask {
            storage: Location { uri: "memory:///".into(), secret_ref: None },
            run: "r5".into(),
            owner: "me".into(),
            history: History { runs, days },
            keep: keep.iter().map(|run| run.to_string()).collect(),
        };
        assert_eq!(superfluous(&all, &task, 5 * DAY), expected);
    }
}
