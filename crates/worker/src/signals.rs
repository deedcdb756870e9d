//! How a worker learns that it should stop.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Set once a stop was asked for; never cleared.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopRequest(Arc<AtomicBool>);

impl StopRequest {
    /// A request that SIGTERM makes. SIGINT is ignored: a terminal sends it to the whole foreground group, and
    /// it is for the parent to decide what an interrupt means.
    pub(crate) fn on_sigterm() -> std::io::Result<Self> {
        let request = StopRequest::default();
        signal_hook::flag::register(SIGTERM, Arc::clone(&request.0))?;
        signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
        Ok(request)
    }

    /// Returns once a stop is asked for.
    pub(crate) async fn made(&self) {
        while !self.is_made() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends this process at once when standard input reaches its end.
///
/// The parent holds the other end of the pipe, so no worker outlives a parent that was killed. (The kernel's parent
/// death signal follows the spawning *thread*, not the process.)
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let mut buffer = [0; 64];
        let mut input = std::io::stdin().lock();
        while !matches!(input.read(&mut buffer), Ok(0) | Err(_)) {}
        // Not by `exit`: that takes libtorch's threads their statics away while they run, and may hang.
        let _ = kill(Pid::this(), Signal::SIGKILL);
    });
}
