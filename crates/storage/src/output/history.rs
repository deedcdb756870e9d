//! Removal of a tenant's former lists.

use std::collections::BTreeSet;

use teasel_api::resolved::History;

use super::{OutputEvent, OutputLog, OutputState, Version};
use crate::StorageError;

const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

impl OutputLog {
    /// Removes the lists of former runs beyond what `history` keeps: as many runs beside the current one, and none
    /// whose sequence is older than its days. `now` is in milliseconds since 1970. Returns what was removed.
    ///
    /// The log says so before a file goes, so a rollback either comes first and keeps its lists, or is refused.
    pub async fn remove_former(&mut self, history: &History, now: i64) -> Result<Vec<Version>, StorageError> {
        self.refresh().await?;
        let mut gone = Vec::new();
        while let Some(version) = removable(self.state(), history, now).into_iter().next() {
            if self.append(OutputEvent::Removed { version: version.clone() }).await? {
                gone.push(version);
            }
        }
        // Also what an earlier remover left behind that died before it was through.
        let present: BTreeSet<String> = self.output().folders("runs").await?.into_iter().collect();
        for version in self.state().removed().filter(|version| present.contains(&version.run)) {
            self.output().delete_all(&version.path()).await?;
        }
        self.output().remove_empty_folders("runs").await;
        Ok(gone)
    }
}

/// Versions that may go, by the log alone.
fn removable(state: &OutputState, history: &History, now: i64) -> Vec<Version> {
    let current = state.current().map(|(_, version)| version.run.as_str());
    let mut former: Vec<(i64, &str)> = state
        .versions()
        .filter(|(version, _)| Some(version.run.as_str()) != current)
        .map(|(version, ownership)| (ownership.sequence, version.run.as_str()))
        .collect();
    former.sort_unstable();
    former.dedup();
    let oldest = now.saturating_sub(i64::from(history.days).saturating_mul(MILLISECONDS_PER_DAY));
    let keep = usize::try_from(history.runs).unwrap_or(usize::MAX);
    let kept: BTreeSet<&str> = former
        .iter()
        .rev()
        .take(keep)
        .filter(|(sequence, _)| *sequence >= oldest)
        .map(|(_, run)| *run)
        .chain(current)
        .collect();
    state
        .versions()
        .map(|(version, _)| version)
        .filter(|version| !kept.contains(version.run.as_str()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use teasel_api::task::Ownership;

    use super::*;
    use crate::output::OutputEntry;

    fn version(run: &str) -> Version {
        Version { run: run.into(), score_hash: "h".into() }
    }

    /// Runs r1..r5, published a day apart, and then `last`.
    fn state(last: Option<OutputEvent>) -> OutputState {
        let published = (1..=5).map(|day| OutputEvent::Published {
            version: version(&format!("r{day}")),
            ownership: Ownership { owner: "me".into(), sequence: day * MILLISECONDS_PER_DAY },
        });
        let entries: Vec<_> =
            published.chain(last).map(|event| OutputEntry { nonce: String::new(), time: 0, event }).collect();
        OutputState::fold(&entries)
    }

    #[rstest]
    #[case::by_number(2, 90, None, &["r1", "r2"])]
    #[case::by_age(9, 2, None, &["r1", "r2"])]
    #[case::by_neither(9, 90, None, &[])]
    #[case::none_but_the_current(0, 90, None, &["r1", "r2", "r3", "r4"])]
    #[case::never_what_was_rolled_back_to(
        1, 90, Some(OutputEvent::RolledBack { to: version("r1"), hold: false }), &["r2", "r3", "r4"]
    )]
    #[case::not_twice(2, 90, Some(OutputEvent::Removed { version: version("r1") }), &["r2"])]
    fn former_lists_go(
        #[case] runs: u32,
        #[case] days: u32,
        #[case] last: Option<OutputEvent>,
        #[case] expected: &[&str],
    ) {
        let now = 5 * MILLISECONDS_PER_DAY;
        let gone = removable(&state(last), &History { runs, days }, now);
        assert_eq!(gone, expected.iter().map(|run| version(run)).collect::<Vec<_>>());
    }
}
