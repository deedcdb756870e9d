//! The termination message.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use teasel_api::outcome::{ExitCode, Outcome, Usage};
use teasel_api::task::TaskFile;

use crate::memory;

/// An outcome of `file`'s task with nothing but an end.
pub(crate) fn ended(file: &TaskFile, exit_code: ExitCode, reason: &str, message: impl Into<String>) -> Outcome {
    Outcome { usage: Some(usage()), ..Outcome::new(file.task.kind(), file.attempt, exit_code, reason, message) }
}

static STARTED: OnceLock<Instant> = OnceLock::new();

/// From now on counts what this process takes.
pub(crate) fn start() {
    STARTED.get_or_init(Instant::now);
}

/// What this process has taken since [`start`].
pub(crate) fn usage() -> Usage {
    let seconds = STARTED.get_or_init(Instant::now).elapsed().as_secs_f64();
    Usage { seconds, peak_memory_bytes: memory::peak() }
}

/// Writes the outcome where the starter of this process looks for it.
///
/// Not by renaming: in a pod the termination log is a mounted file. Where that file isn't there at all (a task run
/// by hand), the log line is all there is.
pub(crate) fn write(outcome: &Outcome, path: &Path) {
    if let Err(error) = std::fs::write(path, outcome.to_termination_message()) {
        tracing::debug!("no outcome written to {}: {error}", path.display());
    }
}
