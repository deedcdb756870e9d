//! What a tenant's output log says, and what may be added to it: pure.

use std::collections::BTreeSet;

use teasel_api::task::Ownership;

use super::{OutputEntry, OutputEvent, Version};

/// A tenant's output log, read from its first entry to its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputState {
    length: u64,
    current: Option<(u64, Version)>,
    held: bool,
    /// Index of the last rollback.
    rolled_back: Option<u64>,
    /// What was published, in order, without what a rollback has left.
    standing: Vec<(Version, Ownership)>,
    published: Vec<(u64, Version, Ownership)>,
    removed: BTreeSet<Version>,
}

/// Who wants to publish what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// The lists; their manifest is committed.
    pub version: Version,
    /// Whose they are.
    pub ownership: Ownership,
    /// Whether another owner's lists may be replaced.
    pub take_over: bool,
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The pointer was moved.
    Published,
    /// The lists had been published before.
    AlreadyPublished {
        /// Whether the pointer still is at them. If not, only a rollback goes back to them.
        current: bool,
    },
    /// A rollback holds the pointer: not a failure.
    Held,
    /// Newer lists are or were published: not a failure.
    Superseded {
        /// The newer lists.
        by: Version,
    },
    /// The pointer belongs to another owner, and taking it over wasn't asked for.
    OtherOwner {
        /// `namespace/name` of the owner.
        owner: String,
    },
    /// The lists aren't whole: there is no manifest.
    NotScored,
}

/// What became of a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackOutcome {
    /// The pointer was moved, or the hold set.
    RolledBack(Version),
    /// The pointer was there already, with the hold that was asked for.
    AlreadyThere(Version),
    /// The run was never published here.
    NotPublished,
    /// `history` has removed the run's lists.
    Removed,
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The hold ended.
    Released,
    /// There was none.
    NotHeld,
}

impl OutputState {
    /// The state after all of `entries`.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a OutputEntry>) -> Self {
        let mut state = OutputState::default();
        entries.into_iter().for_each(|entry| state.apply(entry));
        state
    }

    pub(super) fn apply(&mut self, entry: &OutputEntry) {
        let index = self.length;
        self.length += 1;
        match &entry.event {
            OutputEvent::Published { version, ownership } => {
                self.published.push((index, version.clone(), ownership.clone()));
                self.standing.push((version.clone(), ownership.clone()));
                self.removed.remove(version);
                self.current = Some((index, version.clone()));
            }
            OutputEvent::RolledBack { to, hold } => {
                self.held |= hold;
                self.rolled_back = Some(index);
                let place = self.standing.iter().rposition(|(version, _)| version == to);
                self.standing.truncate(place.map_or(0, |place| place + 1));
                self.current = Some((index, to.clone()));
            }
            OutputEvent::Released => self.held = false,
            OutputEvent::Removed { version } => {
                self.removed.insert(version.clone());
            }
        }
    }

    /// Number of entries: the index of the next one.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The lists that count, with the index of the entry that says so.
    pub fn current(&self) -> Option<(u64, &Version)> {
        self.current.as_ref().map(|(index, version)| (*index, version))
    }

    /// Whether a rollback holds the pointer.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whose the pointer is: `namespace/name`.
    pub fn owner(&self) -> Option<&str> {
        self.published.last().map(|(_, _, ownership)| ownership.owner.as_str())
    }

    /// The newest run but `run` that was published and that no rollback has left, if it is there still.
    pub fn standing_before(&self, run: &str) -> Option<(&Version, &Ownership)> {
        let others = self.standing.iter().rev().filter(|(version, _)| version.run != run);
        others.map(|(version, ownership)| (version, ownership)).find(|(version, _)| !self.removed.contains(version))
    }

    /// Lists that were published and not removed, in the order of their first publishing.
    pub fn versions(&self) -> impl Iterator<Item = (&Version, &Ownership)> {
        let mut seen = BTreeSet::new();
        let kept = self.published.iter().filter(|(_, version, _)| !self.removed.contains(version));
        kept.filter(move |(_, version, _)| seen.insert(version)).map(|(_, version, ownership)| (version, ownership))
    }

    /// Lists that were removed. Their files are to go, if a remover died before it was through.
    pub fn removed(&self) -> impl Iterator<Item = &Version> {
        self.removed.iter()
    }

    /// Entry with the highest sequence, the newest of equals.
    fn highest(&self) -> Option<&(u64, Version, Ownership)> {
        self.published.iter().max_by_key(|(index, _, ownership)| (ownership.sequence, *index))
    }

    /// Whether `request` may be published; `None` means yes. `basis` is how many entries there were when the
    /// publisher's task began.
    ///
    /// Sequences only grow, so neither a paused publisher nor a late retrain sets the pointer back. Within one run
    /// there is no such order between two settings; there, whoever began before the other's publish is the older.
    pub fn decide_publish(&self, request: &PublishRequest, basis: u64) -> Option<PublishOutcome> {
        let PublishRequest { version, ownership, take_over } = request;
        if self.current().is_some_and(|(_, current)| current == version) {
            return Some(PublishOutcome::AlreadyPublished { current: true });
        }
        // What was published before and replaced by other settings of its run may come again. What somebody went back
        // from, or what was replaced while the publisher worked, may not.
        let former = self.published.iter().rev().find(|(_, published, _)| published == version);
        if former.is_some_and(|(index, _, _)| *index >= basis || self.rolled_back.is_some_and(|back| back > *index))
        {
            return Some(PublishOutcome::AlreadyPublished { current: false });
        }
        if let Some(owner) = self.owner().filter(|owner| *owner != ownership.owner && !take_over) {
            return Some(PublishOutcome::OtherOwner { owner: owner.to_owned() });
        }
        if self.held {
            return Some(PublishOutcome::Held);
        }
        if let Some((_, newest, highest)) = self.highest() {
            let below = ownership.sequence < highest.sequence;
            let equal_with_another_run = ownership.sequence == highest.sequence && newest.run != version.run;
            if below || equal_with_another_run {
                return Some(PublishOutcome::Superseded { by: newest.clone() });
            }
        }
        let since = self.published.iter().filter(|(index, _, _)| *index >= basis);
        let overtaken = since.map(|(_, published, _)| published).find(|published| published.run == version.run);
        overtaken.map(|by| PublishOutcome::Superseded { by: by.clone() })
    }

    /// Which lists a rollback to `run` points to: those of the run that were published last.
    ///
    /// # Errors
    /// The outcome, where there is nothing to do or nothing to go back to.
    pub fn decide_rollback(&self, run: &str, hold: bool) -> Result<Version, RollbackOutcome> {
        let mut of_run =
            self.published.iter().rev().map(|(_, version, _)| version).filter(|version| version.run == run);
        let Some(newest) = of_run.next() else {
            return Err(RollbackOutcome::NotPublished);
        };
        let Some(kept) = std::iter::once(newest).chain(of_run).find(|version| !self.removed.contains(version))
        else {
            return Err(RollbackOutcome::Removed);
        };
        let there = self.current().is_some_and(|(_, current)| current.run == run);
        match self.current() {
            Some((_, current)) if there && (self.held || !hold) => {
                Err(RollbackOutcome::AlreadyThere(current.clone()))
            }
            Some((_, current)) if there => Ok(current.clone()),
            _ => Ok(kept.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn version(run: &str) -> Version {
        let (run, score_hash) = run.split_once('/').unwrap_or((run, "h1"));
        Version { run: run.into(), score_hash: score_hash.into() }
    }

    fn published(run: &str, owner: &str, sequence: i64) -> OutputEvent {
        OutputEvent::Published { version: version(run), ownership: Ownership { owner: owner.into(), sequence } }
    }

    fn rolled_back(run: &str, hold: bool) -> OutputEvent {
        OutputEvent::RolledBack { to: version(run), hold }
    }

    fn state(events: &[OutputEvent]) -> OutputState {
        let entries: Vec<_> = events
            .iter()
            .map(|event| OutputEntry { nonce: String::new(), time: 0, event: event.clone() })
            .collect();
        OutputState::fold(&entries)
    }

    fn decide(
        events: &[OutputEvent],
        run: &str,
        owner: &str,
        sequence: i64,
        take_over: bool,
    ) -> Option<PublishOutcome> {
        let ownership = Ownership { owner: owner.into(), sequence };
        let state = state(events);
        state.decide_publish(&PublishRequest { version: version(run), ownership, take_over }, state.length())
    }

    #[rstest]
    #[case::into_an_empty_place(&[], "b", "me", 2, None)]
    #[case::over_an_older_run(&[published("a", "me", 1)], "b", "me", 2, None)]
    #[case::new_settings_of_the_same_run(&[published("a/h1", "me", 1)], "a/h2", "me", 1, None)]
    #[case::the_same_again(
        &[published("a", "me", 1)], "a", "me", 1, Some(PublishOutcome::AlreadyPublished { current: true })
    )]
    #[case::rolled_back_since(
        &[published("a", "me", 1), published("b", "me", 2), rolled_back("a", false)], "b", "me", 2,
        Some(PublishOutcome::AlreadyPublished { current: false })
    )]
    #[case::former_settings_of_the_same_run(
        &[published("a/h1", "me", 1), published("a/h2", "me", 1)], "a/h1", "me", 1, None
    )]
    #[case::former_settings_that_somebody_went_back_from(
        &[published("a/h1", "me", 1), published("a/h2", "me", 1), rolled_back("a/h1", false)], "a/h2", "me", 1,
        Some(PublishOutcome::AlreadyPublished { current: false })
    )]
    #[case::a_late_older_run(
        &[published("b", "me", 2)], "a", "me", 1, Some(PublishOutcome::Superseded { by: version("b") })
    )]
    #[case::older_than_what_was_rolled_back(
        &[published("a", "me", 1), published("c", "me", 3), rolled_back("a", false)], "b", "me", 2,
        Some(PublishOutcome::Superseded { by: version("c") })
    )]
    #[case::another_run_of_the_same_sequence(
        &[published("b", "me", 2)], "a", "me", 2, Some(PublishOutcome::Superseded { by: version("b") })
    )]
    #[case::after_a_rollback(&[published("a", "me", 1), published("b", "me", 2), rolled_back("a", false)], "c", "me", 3, None)]
    #[case::while_held(
        &[published("a", "me", 1), published("b", "me", 2), rolled_back("a", true)], "c", "me", 3,
        Some(PublishOutcome::Held)
    )]
    #[case::a_second_rollback_keeps_the_hold(
        &[published("a", "me", 1), published("b", "me", 2), rolled_back("a", true), rolled_back("b", false)], "c", "me", 3,
        Some(PublishOutcome::Held)
    )]
    #[case::released(
        &[published("a", "me", 1), published("b", "me", 2), rolled_back("a", true), OutputEvent::Released], "c", "me", 3, None
    )]
    #[case::anothers_place(
        &[published("a", "them", 1)], "b", "me", 2, Some(PublishOutcome::OtherOwner { owner: "them".into() })
    )]
    fn a_publish_is_decided(
        #[case] events: &[OutputEvent],
        #[case] run: &str,
        #[case] owner: &str,
        #[case] sequence: i64,
        #[case] expected: Option<PublishOutcome>,
    ) {
        assert_eq!(decide(events, run, owner, sequence, false), expected);
    }

    #[test]
    fn a_take_over_replaces_another_owner_but_neither_goes_back_nor_ends_a_hold() {
        let theirs = [published("a", "them", 5)];
        assert_eq!(decide(&theirs, "b", "me", 6, true), None);
        assert_eq!(decide(&theirs, "b", "me", 4, true), Some(PublishOutcome::Superseded { by: version("a") }));
        let held = [published("a", "them", 5), rolled_back("a", true)];
        assert_eq!(decide(&held, "b", "me", 6, true), Some(PublishOutcome::Held));
        let taken = [published("a", "them", 5), published("b", "me", 6)];
        assert_eq!(decide(&taken, "c", "them", 7, false), Some(PublishOutcome::OtherOwner { owner: "me".into() }));
    }

    #[test]
    fn of_two_settings_of_one_run_the_task_that_began_earlier_is_the_older() {
        let ownership = Ownership { owner: "me".into(), sequence: 1 };
        let request = PublishRequest { version: version("a/h1"), ownership, take_over: false };
        let state = state(&[published("a/h2", "me", 1)]);
        assert_eq!(state.decide_publish(&request, 0), Some(PublishOutcome::Superseded { by: version("a/h2") }));
        assert_eq!(state.decide_publish(&request, 1), None);
    }

    #[test]
    fn what_a_rollback_has_left_does_not_stand() {
        let run =
            |state: &OutputState, but: &str| state.standing_before(but).map(|(version, _)| version.run.clone());
        let events = [published("a", "me", 1), published("b", "me", 2), rolled_back("a", false)];
        assert_eq!(run(&state(&events[..2]), "c").as_deref(), Some("b"));
        assert_eq!(run(&state(&events[..2]), "b").as_deref(), Some("a"));
        assert_eq!(run(&state(&events), "c").as_deref(), Some("a"));
        assert_eq!(run(&state(&events), "a"), None);
    }

    #[rstest]
    #[case::to_a_former_run("a", false, Ok("a"))]
    #[case::to_where_it_is("b", false, Err(RollbackOutcome::AlreadyThere(version("b"))))]
    #[case::to_hold_where_it_is("b", true, Ok("b"))]
    #[case::to_a_stranger("z", false, Err(RollbackOutcome::NotPublished))]
    #[case::to_a_removed_run("gone", false, Err(RollbackOutcome::Removed))]
    fn a_rollback_is_decided(
        #[case] run: &str,
        #[case] hold: bool,
        #[case] expected: Result<&str, RollbackOutcome>,
    ) {
        let removed = OutputEvent::Removed { version: version("gone") };
        let state = state(&[published("gone", "me", 1), published("a", "me", 2), published("b", "me", 3), removed]);
        assert_eq!(state.decide_rollback(run, hold), expected.map(version));
    }
}
