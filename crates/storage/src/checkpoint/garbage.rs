//! Which checkpoints go, and which of their files.

use std::collections::BTreeSet;

use super::CHECKPOINTS;
use crate::run_log::{Event, LogError, RunState, Writer};

/// Retires all but the newest `keep` checkpoints and the best one, then deletes what no entry names any more. Returns
/// the paths that were deleted, relative to the run's folder.
///
/// Files of a writer that died before its entry go too, if its term is an older one: it can't commit them any more. Of
/// the own term they go only below the newest committed step, so that an upload in flight is left alone.
pub async fn collect(writer: &mut Writer, keep: usize) -> Result<Vec<String>, LogError> {
    for entry in superfluous(writer.log().state(), keep) {
        writer.append(Event::Retired { entry }).await?;
    }
    let folder = writer.log().folder().clone();
    let present = folder.list(CHECKPOINTS).await?.into_iter().map(|(path, _)| path);
    let rubbish = rubbish(writer.log().state(), writer.term(), present);
    for path in &rubbish {
        folder.delete(path).await?;
    }
    folder.remove_empty_folders(CHECKPOINTS).await;
    Ok(rubbish)
}

/// Entries of the checkpoints beyond the newest `keep` and the best; the newest always stays.
fn superfluous(state: &RunState, keep: usize) -> Vec<u64> {
    let older = state.checkpoints().rev().skip(keep.max(1)).map(|(entry, _)| entry);
    older.filter(|entry| state.best() != Some(*entry)).collect()
}

/// Those of the files `present` below `checkpoints/` that nothing names and nobody can come to name.
fn rubbish(state: &RunState, term: u64, present: impl IntoIterator<Item = String>) -> Vec<String> {
    let live: BTreeSet<&str> =
        state.checkpoints().flat_map(|(_, checkpoint)| &checkpoint.files).map(|file| file.name.as_str()).collect();
    let newest_own = state.checkpoints().map(|(_, checkpoint)| checkpoint).filter_map(|checkpoint| {
        let (of, step) = origin(&checkpoint.files.first()?.name)?;
        (of == term).then_some(step)
    });
    let newest_own = newest_own.max();
    let may_go = |path: &String| match origin(path) {
        // Not a name that this program gives.
        None => false,
        Some((of, step)) => of < term || (of == term && newest_own.is_some_and(|newest| step < newest)),
    };
    present.into_iter().filter(|path| !live.contains(path.as_str())).filter(may_go).collect()
}

/// Term and step of `checkpoints/<term>-<step>-<nonce>/…`.
fn origin(path: &str) -> Option<(u64, u64)> {
    let mut parts = path.strip_prefix(CHECKPOINTS)?.strip_prefix('/')?.split('/').next()?.splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::File;
    use crate::run_log::{AppendDecision, Checkpoint, Claim, ClaimDecision, Entry};
    use teasel_api::task::TaskKind;

    fn entry(event: Event) -> Entry {
        Entry { term: None, nonce: String::new(), time: 0, event }
    }

    fn claim(attempt: u32) -> Claim {
        Claim {
            task: TaskKind::Train,
            attempt,
            incarnation: "life".into(),
            generation: 0,
            nonce: format!("claimant {attempt}"),
            world: 1,
            threads: 1,
            cpu: "AVX2".into(),
            build: "0".into(),
            subject: String::new(),
        }
    }

    fn checkpoint(term: u64, step: u64, nonce: usize) -> Checkpoint {
        let file = File::of(format!("checkpoints/{term}-{step}-{nonce}/state.json"), b"");
        Checkpoint { step, epoch: 0, files: vec![file], metrics: Default::default() }
    }

    #[derive(Clone, Debug)]
    enum Move {
        NextAttempt,
        /// A whole upload and commit, `back` steps before the newest (after a fall back) or one after it.
        Commit {
            back: u64,
        },
        /// Files without an entry, of this term or an older one.
        Orphan {
            term: u64,
            step: u64,
        },
        Best,
        Collect {
            keep: usize,
        },
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            Just(Move::NextAttempt),
            (0u64..3).prop_map(|back| Move::Commit { back }),
            (0u64..12, 0u64..12).prop_map(|(term, step)| Move::Orphan { term, step }),
            Just(Move::Best),
            (0usize..4).prop_map(|keep| Move::Collect { keep }),
        ];
        prop::collection::vec(one, 1..40)
    }

    proptest! {
        #[test]
        fn collection_never_deletes_what_a_live_entry_names_nor_a_later_terms_files(moves in moves()) {
            let mut entries = vec![entry(Event::Claimed(claim(1)))];
            let (mut term, mut attempt, mut step) = (0u64, 1u32, 0u64);
            let mut present: Vec<String> = Vec::new();
            for (number, next) in moves.into_iter().enumerate() {
                let state = RunState::fold(&entries);
                match next {
                    Move::NextAttempt => {
                        attempt += 1;
                        prop_assert_eq!(state.decide_claim(&claim(attempt)), ClaimDecision::Claim);
                        term = entries.len() as u64;
                        entries.push(entry(Event::Claimed(claim(attempt))));
                    }
                    Move::Commit { back } => {
                        step = (step + 1).saturating_sub(back);
                        let checkpoint = checkpoint(term, step, number);
                        present.extend(checkpoint.files.iter().map(|file| file.name.clone()));
                        entries.push(entry(Event::Checkpoint(checkpoint)));
                    }
                    Move::Orphan { term, step } => present.push(format!("checkpoints/{term}-{step}-x{number}/state.json")),
                    Move::Best => {
                        if let Some((newest, _)) = state.checkpoints().next_back() {
                            entries.push(entry(Event::Best { entry: newest }));
                        }
                    }
                    Move::Collect { keep } => {
                        for gone in superfluous(&state, keep) {
                            let event = Event::Retired { entry: gone };
                            let now = RunState::fold(&entries);
                            prop_assert_eq!(now.decide_append(term, &event), AppendDecision::Append);
                            entries.push(entry(event));
                        }
                        let state = RunState::fold(&entries);
                        let gone = rubbish(&state, term, present.clone());
                        present.retain(|path| !gone.contains(path));
                        for path in &gone {
                            prop_assert!(origin(path).unwrap().0 <= term);
                        }
                        let live = state.checkpoints().count();
                        prop_assert!(live <= keep.max(1) + 1);
                    }
                }
                let state = RunState::fold(&entries);
                for (_, checkpoint) in state.checkpoints() {
                    for file in &checkpoint.files {
                        prop_assert!(present.contains(&file.name), "{} is gone", file.name);
                    }
                }
                if let Some(best) = state.best() {
                    prop_assert!(state.checkpoint(best).is_some());
                }
            }
        }
    }

    #[test]
    fn orphans_go_but_an_upload_in_flight_and_foreign_names_stay() {
        let entries = [Event::Claimed(claim(1)), Event::Claimed(claim(2)), Event::Checkpoint(checkpoint(1, 20, 0))]
            .map(entry);
        let present = [
            "checkpoints/0-15-dead/state.json",
            "checkpoints/1-10-lost/state.json",
            "checkpoints/1-20-0/state.json",
            "checkpoints/1-30-inflight/state.json",
            "checkpoints/2-5-successor/state.json",
            "checkpoints/README",
        ];
        let gone = rubbish(&RunState::fold(&entries), 1, present.map(str::to_owned));
        assert_eq!(gone, ["checkpoints/0-15-dead/state.json", "checkpoints/1-10-lost/state.json"]);
    }
}
