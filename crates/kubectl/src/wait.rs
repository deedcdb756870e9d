//! Waiting for what the operator writes into a status.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use teasel_api::outcome::ExitCode;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::target::Target;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WaitError {
    /// Wait longer, or see why the operator is silent.
    #[error("no answer in time")]
    TimedOut,
    /// Give up: nobody can answer any more.
    #[error("it was deleted meanwhile")]
    Gone,
    /// See to the cluster.
    #[error(transparent)]
    Cluster(Failure),
}

impl WaitError {
    /// The failure of a command that waited for `what`; `left` says what becomes of its request.
    pub(crate) fn into_failure(self, target: &Target, what: &str, left: &str) -> Failure {
        match self {
            WaitError::TimedOut => Failure::new(
                ExitCode::TryAgain,
                format!("{}: {what}: no answer in time; {left}. Is the operator running?", target.shown()),
            ),
            WaitError::Gone => {
                Failure::new(ExitCode::InputMissing, format!("{} was deleted meanwhile", target.shown()))
            }
            WaitError::Cluster(failure) => failure,
        }
    }
}

/// Watches an object until `answer` finds one in it. A cluster that can't be reached for a while is waited for too.
pub(crate) async fn until<T>(
    target: &Target,
    timeout: Duration,
    mut answer: impl FnMut(&DynamicObject) -> Option<T>,
) -> Result<T, WaitError> {
    let deadline = Instant::now() + timeout;
    let uid = target.object.uid();
    let mut seen = pin!(watch_object(target.api.clone(), &target.name()).default_backoff());
    loop {
        match tokio::time::timeout_at(deadline, seen.next()).await {
            Err(_) | Ok(None) => return Err(WaitError::TimedOut),
            Ok(Some(Ok(Some(object)))) if object.uid() == uid => {
                if let Some(answer) = answer(&object) {
                    return Ok(answer);
                }
            }
            Ok(Some(Ok(_))) => return Err(WaitError::Gone),
            Ok(Some(Err(error))) => {
                let failure = Failure::from(error);
                if !failure.may_pass() {
                    return Err(WaitError::Cluster(failure));
                }
            }
        }
    }
}
