//! How a command ends when it doesn't end well.

use teasel_api::outcome::ExitCode;

/// Exit code of a run whose model isn't good enough to publish.
const GATE_NOT_MET: u8 = 1;

/// What went wrong, by what whoever started `teasel` does next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Mend what the message names, or try again; the exit code tells which.
    #[error("{message}")]
    Failed {
        /// Exit code.
        exit: ExitCode,
        /// What happened and what to do.
        message: String,
    },
    /// Look at the model: it was trained and measured, but isn't published.
    #[error("{0}")]
    GateNotMet(String),
    /// Run the same command again to go on.
    #[error("{message}")]
    Interrupted {
        /// The signal.
        signal: i32,
        /// What was kept, and how to go on.
        message: String,
    },
}

impl Failure {
    /// A failure with one of the exit codes that workers use.
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Failure::Failed { exit, message: message.into() }
    }

    /// A failure of this machine: its disk, its processes.
    pub(crate) fn local(what: &str, error: impl std::fmt::Display) -> Self {
        Failure::new(ExitCode::TryAgain, format!("{what}: {error}"))
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Failed { exit, .. } => *exit as u8,
            Failure::GateNotMet(_) => GATE_NOT_MET,
            // What shells report of a process that the signal ended.
            Failure::Interrupted { signal, .. } => 128u8.saturating_add(*signal as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Failure::new(ExitCode::BadConfiguration, ""), 78)]
    #[case(Failure::GateNotMet(String::new()), 1)]
    #[case(Failure::Interrupted { signal: 2, message: String::new() }, 130)]
    #[case(Failure::Interrupted { signal: 15, message: String::new() }, 143)]
    fn each_failure_has_its_exit_code(#[case] failure: Failure, #[case] code: u8) {
        assert_eq!(failure.exit_code(), code);
    }
}
