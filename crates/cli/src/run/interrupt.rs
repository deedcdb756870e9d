//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Counts interrupts and remembers the first one's signal.
#[derive(Clone)]
pub(super) struct Interrupt(watch::Receiver<(u32, i32)>);

impl Interrupt {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::local("can't handle signals", error);
        let mut interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminates = signal(SignalKind::terminate()).map_err(failed)?;
        let (sender, receiver) = watch::channel((0, 0));
        tokio::spawn(async move {
            loop {
                let number = tokio::select! {
                    _ = interrupts.recv() => SignalKind::interrupt(),
                    _ = terminates.recv() => SignalKind::terminate(),
                };
                sender.send_modify(|(count, first)| {
                    *count += 1;
                    if *first == 0 {
                        *first = number.as_raw_value();
                    }
                });
            }
        });
        Ok(Interrupt(receiver))
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.0.borrow().0
    }

    /// Signal of the first one, if there was one.
    pub(super) fn signal(&self) -> Option<i32> {
        let (count, first) = *self.0.borrow();
        (count > 0).then_some(first)
    }

    /// Returns once there were more than `seen`.
    pub(super) async fn wait_for_more(&mut self, seen: u32) {
        // The sender lives as long as the runtime.
        let _ = self.0.wait_for(|(count, _)| *count > seen).await;
    }
}
