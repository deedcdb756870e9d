//! Standard output, which whoever reads it may close at any time, as `head` does.

use std::io::{ErrorKind, Write};

use teasel_api::outcome::ExitCode;

use crate::failure::Failure;

/// Prints a line.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::new(ExitCode::TryAgain, format!("can't write: {error}")),
    })
}
