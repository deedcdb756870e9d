//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Counts interrupts and remembers the first one's signal.
#[derive(Clone)]
pub(crate) struct Interrupt {
    received: watch::Receiver<(u32, i32)>,
    /// Whether workers run, which are told to stop and then say what they have kept.
    workers_run: Arc<AtomicBool>,
}

impl Interrupt {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, Failure> {
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
        Ok(Interrupt { received: receiver, workers_run: Arc::default() })
    }

    /// Says whether workers run.
    pub(super) fn set_workers_run(&self, run: bool) {
        self.workers_run.store(run, Ordering::Relaxed);
    }

    /// Returns with the signal of an interrupt that comes while no worker runs.
    pub(super) async fn without_workers(mut self) -> i32 {
        let mut seen = 0;
        loop {
            self.wait_for_more(seen).await;
            seen = self.count();
            match self.signal() {
                Some(signal) if !self.workers_run.load(Ordering::Relaxed) => return signal,
                _ => {}
            }
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.received.borrow().0
    }

    /// Signal of the first one, if there was one.
    pub(super) fn signal(&self) -> Option<i32> {
        let (count, first) = *self.received.borrow();
        (count > 0).then_some(first)
    }

    /// Returns once there were more than `seen`.
    pub(super) async fn wait_for_more(&mut self, seen: u32) {
        // The sender lives as long as the runtime.
        let _ = self.received.wait_for(|(count, _)| *count > seen).await;
    }
}
