//! The status in place: redrawn when it changes, and every second, since it tells ages.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use teasel_api::outcome::ExitCode;

use super::{Subject, width};
use crate::failure::Failure;
use crate::target::Target;

/// Watches until the job ends, or Ctrl-C.
pub(super) async fn watch(target: &Target, mut subject: Subject) -> Result<(), Failure> {
    // Only its drawing is used: it writes over what it wrote before, whatever the terminal has done meanwhile.
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let view = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
    let mut trouble: Option<String> = None;
    let mut changes = pin!(watch_object(target.api.clone(), &target.name()).default_backoff());
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let mut interruption = pin!(tokio::signal::ctrl_c());
    let ended = loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(Some(object))) if object.uid() == target.object.uid() => {
                    trouble = None;
                    match Subject::read(target.kind, &object) {
                        Ok(read) => subject = read,
                        Err(failure) => break Err(failure),
                    }
                }
                Some(Ok(_)) | None => {
                    let message = format!("{} was deleted", target.shown());
                    break Err(Failure::new(ExitCode::InputMissing, message));
                }
                Some(Err(error)) => {
                    let failure = Failure::from(error);
                    if !failure.may_pass() {
                        break Err(failure);
                    }
                    trouble = Some(failure.to_string());
                }
            },
            _ = clock.tick() => {}
            interrupted = &mut interruption => break match interrupted {
                Ok(()) => Err(Failure::Interrupted),
                Err(error) => Err(Failure::new(ExitCode::TryAgain, error.to_string())),
            },
        }
        // First, since a terminal that is too low shows no more than the first lines.
        let stale = trouble.as_ref().map(|trouble| format!("this is old: {trouble}\n")).unwrap_or_default();
        view.set_message(format!("{stale}{}", subject.render(Timestamp::now(), width())));
        view.tick();
        if subject.has_ended() {
            break Ok(());
        }
    };
    view.abandon();
    ended
}
