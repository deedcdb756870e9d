//! How a command ends when it doesn't end well.

use std::error::Error;

use kube::runtime::watcher;
use teasel_api::outcome::ExitCode;

/// Exit code of a request that was answered by a no.
const REFUSED: u8 = 1;
/// Exit code of a command that Ctrl-C ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// What went wrong, by what whoever started the command does next.
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
    /// Accept it, or ask for something else: the operator said no.
    #[error("{0}")]
    Refused(String),
    /// Nothing: somebody wanted it.
    #[error("interrupted")]
    Interrupted,
    /// Nothing: whoever reads the output has read enough.
    #[error("nobody reads the output any more")]
    Closed,
}

impl Failure {
    /// A failure with one of the exit codes that workers use.
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Failure::Failed { exit, message: message.into() }
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(ExitCode::Usage, message)
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Failed { exit, .. } => *exit as u8,
            Failure::Refused(_) => REFUSED,
            Failure::Interrupted => INTERRUPTED,
            Failure::Closed => ExitCode::Done as u8,
        }
    }

    /// Whether waiting may mend it: the cluster can't be reached now, or is busy.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Failure::Failed { exit: ExitCode::StorageUnavailable | ExitCode::TryAgain, .. })
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => of_status(status),
            kube::Error::Auth(_) => Failure::new(
                ExitCode::PermissionDenied,
                format!("no credentials for the cluster: {}", causes(&error)),
            ),
            kube::Error::SerdeError(_) => Failure::new(
                ExitCode::BadConfiguration,
                format!("the cluster's Teasel is of another release than this plugin: {}", causes(&error)),
            ),
            kube::Error::Service(error) => unreachable(error.as_ref()),
            kube::Error::HyperError(error) => unreachable(error),
            kube::Error::ReadEvents(error) => unreachable(error),
            kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => Failure::new(ExitCode::Bug, causes(&error)),
            _ => Failure::new(ExitCode::BadConfiguration, causes(&error)),
        }
    }
}

impl From<watcher::Error> for Failure {
    fn from(error: watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error.into(),
            watcher::Error::WatchError(status) => of_status(&status),
            other => Failure::new(ExitCode::StorageUnavailable, causes(&other)),
        }
    }
}

fn unreachable(error: &dyn Error) -> Failure {
    Failure::new(ExitCode::StorageUnavailable, format!("the cluster can't be reached: {}", causes(error)))
}

/// What the API server answers, in its own words.
fn of_status(status: &kube::core::Status) -> Failure {
    let exit = match status.code {
        401 | 403 => ExitCode::PermissionDenied,
        404 => ExitCode::InputMissing,
        409 => ExitCode::TryAgain,
        400..=499 if status.code != 410 && status.code != 429 => ExitCode::BadConfiguration,
        _ => ExitCode::StorageUnavailable,
    };
    let message = if status.message.is_empty() { &status.reason } else { &status.message };
    Failure::new(exit, message.as_str())
}

/// The error and what caused it. Many errors repeat their cause in their own words: only new ones are added.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Failure::new(ExitCode::BadConfiguration, ""), 78)]
    #[case(Failure::usage(""), 64)]
    #[case(Failure::Refused(String::new()), 1)]
    #[case(Failure::Interrupted, 130)]
    #[case(Failure::Closed, 0)]
    fn each_failure_has_its_exit_code(#[case] failure: Failure, #[case] code: u8) {
        assert_eq!(failure.exit_code(), code);
    }

    #[rstest]
    #[case::who_are_you(401, 77, false)]
    #[case::forbidden(403, 77, false)]
    #[case::not_found(404, 66, false)]
    #[case::conflict(409, 75, true)]
    #[case::expired(410, 69, true)]
    #[case::invalid(422, 78, false)]
    #[case::busy(429, 69, true)]
    #[case::broken(503, 69, true)]
    fn the_api_servers_answer_decides_the_exit_code(#[case] code: u16, #[case] exit: u8, #[case] may_pass: bool) {
        let status = Status { code, message: "the server's words".into(), ..Status::default() };
        let failure = Failure::from(kube::Error::Api(Box::new(status)));
        assert_eq!((failure.exit_code(), failure.may_pass()), (exit, may_pass));
        assert_eq!(failure.to_string(), "the server's words");
    }

    #[test]
    fn a_cluster_that_is_away_is_told_from_one_of_another_release() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let away = Failure::from(kube::Error::Service(Box::new(refused)));
        assert_eq!(away.exit_code(), 69);
        assert!(away.to_string().contains("connection refused"), "{away}");
        let unread = serde_json::from_str::<u32>("{}").unwrap_err();
        assert_eq!(Failure::from(kube::Error::SerdeError(unread)).exit_code(), 78);
    }
}
