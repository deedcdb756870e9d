//! Whether a task that ended badly is tried again.

use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::resolved::FailurePolicy;

/// What to do after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is done.
    Done,
    /// Try again.
    Again,
    /// Give up.
    GiveUp,
}

/// Decides from an attempt's outcome and the failures before it. Permanent ends would come again, and being fenced out
/// means that somebody else has the run.
pub(super) fn decide(exit: ExitCode, failures: u32, policy: &FailurePolicy) -> Next {
    match exit {
        ExitCode::Done => Next::Done,
        ExitCode::Stopped | ExitCode::FencedOut => Next::GiveUp,
        exit if exit.is_permanent() => Next::GiveUp,
        _ if failures < policy.max_failures => Next::Again,
        _ => Next::GiveUp,
    }
}

/// The outcome that says why an attempt of several processes ended: the first that isn't an echo of another's end.
pub(super) fn cause(outcomes: &[Outcome]) -> Option<&Outcome> {
    let weight = |outcome: &&Outcome| match outcome.exit_code {
        ExitCode::Done => 3,
        ExitCode::Stopped => 2,
        ExitCode::PeerLost => 1,
        _ => 0,
    };
    outcomes.iter().min_by_key(weight)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(ExitCode::Done, 0, Next::Done)]
    #[case(ExitCode::TryAgain, 0, Next::Again)]
    #[case(ExitCode::TryAgain, 1, Next::Again)]
    #[case(ExitCode::PeerLost, 2, Next::GiveUp)]
    #[case(ExitCode::BadData, 0, Next::GiveUp)]
    #[case(ExitCode::FencedOut, 0, Next::GiveUp)]
    #[case(ExitCode::Stopped, 0, Next::GiveUp)]
    fn failures_are_retried_within_the_policy(#[case] exit: ExitCode, #[case] failures: u32, #[case] next: Next) {
        assert_eq!(decide(exit, failures, &FailurePolicy { max_failures: 2, max_out_of_memory: 1 }), next);
    }
}
