//! What an agent makes of how its ranks end.

use std::time::Duration;

use teasel_api::outcome::ExitCode;

/// How long ranks that only lost a peer are given to be outrun by the cause.
pub(super) const ECHO_GRACE: Duration = Duration::from_secs(3);

/// How a rank's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RankEnd {
    /// By itself, with one of our codes.
    Exited(ExitCode),
    /// By itself, with a code that isn't ours: an abort in a library, or a panic.
    Unknown(i32),
    /// By a signal.
    Killed(i32),
}

impl RankEnd {
    fn is_failure(self) -> bool {
        !matches!(self, RankEnd::Exited(ExitCode::Done | ExitCode::Stopped))
    }

    fn is_echo(self) -> bool {
        self == RankEnd::Exited(ExitCode::PeerLost)
    }
}

/// What the agent does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Ranks run.
    Wait,
    /// A rank failed: kill those that run.
    KillOthers,
    /// All have ended; the agent ends as this rank did.
    EndAs(usize),
}

/// Decides from how each local rank ended (`None` = it runs) and how long ago the first failure was seen.
///
/// The first cause wins over its echoes: a rank that lost a peer says nothing about why, so its fellow ranks get
/// [`ECHO_GRACE`] to say more.
pub(super) fn supervise(ends: &[Option<RankEnd>], since_first_failure: Option<Duration>) -> Decision {
    let failures = || ends.iter().flatten().filter(|end| end.is_failure());
    let running = ends.iter().any(Option::is_none);
    let only_echoes = failures().all(|end| end.is_echo());
    match (running, failures().next(), since_first_failure) {
        (true, None, _) => Decision::Wait,
        (true, Some(_), Some(elapsed)) if only_echoes && elapsed < ECHO_GRACE => Decision::Wait,
        (true, Some(_), _) => Decision::KillOthers,
        (false, _, _) => {
            let rank_of = |end: &Option<RankEnd>| match end {
                Some(end) if end.is_failure() && !end.is_echo() => 0,
                Some(end) if end.is_failure() => 1,
                Some(RankEnd::Exited(ExitCode::Stopped)) => 2,
                _ => 3,
            };
            let first = (0..ends.len()).min_by_key(|&index| rank_of(&ends[index])).unwrap_or(0);
            Decision::EndAs(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DONE: Option<RankEnd> = Some(RankEnd::Exited(ExitCode::Done));
    const STOPPED: Option<RankEnd> = Some(RankEnd::Exited(ExitCode::Stopped));
    const ECHO: Option<RankEnd> = Some(RankEnd::Exited(ExitCode::PeerLost));
    const STORAGE: Option<RankEnd> = Some(RankEnd::Exited(ExitCode::StorageUnavailable));
    const KILLED: Option<RankEnd> = Some(RankEnd::Killed(9));
    const RUNS: Option<RankEnd> = None;

    #[rstest]
    #[case::all_run(&[RUNS, RUNS], None, Decision::Wait)]
    #[case::one_is_done(&[DONE, RUNS], None, Decision::Wait)]
    #[case::one_has_stopped(&[STOPPED, RUNS], None, Decision::Wait)]
    #[case::a_failure_ends_the_others(&[RUNS, KILLED], Some(Duration::ZERO), Decision::KillOthers)]
    #[case::an_echo_waits_for_its_cause(&[ECHO, RUNS], Some(Duration::from_secs(1)), Decision::Wait)]
    #[case::but_not_for_ever(&[ECHO, RUNS], Some(ECHO_GRACE), Decision::KillOthers)]
    #[case::the_cause_wins(&[ECHO, STORAGE], Some(Duration::ZERO), Decision::EndAs(1))]
    #[case::an_unknown_code_is_a_cause(&[ECHO, Some(RankEnd::Unknown(134))], None, Decision::EndAs(1))]
    #[case::an_echo_wins_over_success(&[DONE, ECHO], Some(Duration::ZERO), Decision::EndAs(1))]
    #[case::stopped_wins_over_done(&[DONE, STOPPED], None, Decision::EndAs(1))]
    #[case::all_done(&[DONE, DONE], None, Decision::EndAs(0))]
    fn the_first_cause_decides(
        #[case] ends: &[Option<RankEnd>],
        #[case] since_first_failure: Option<Duration>,
        #[case] expected: Decision,
    ) {
        assert_eq!(supervise(ends, since_first_failure), expected);
    }
}
