//! Where this workspace lies.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of this workspace, at or above the working directory, which is the package's for every test. Not what was the
/// package's when the test was compiled: a clone runs tests that were compiled in another one, where the code is the same.
///
/// # Errors
/// Where the working directory isn't in a workspace.
pub fn workspace() -> io::Result<PathBuf> {
    let from = std::env::current_dir()?;
    let above = from.ancestors().find(|folder| folder.join("Cargo.lock").exists()).map(Path::to_owned);
    above.ok_or_else(|| io::Error::other(format!("{} isn't in Teasel's workspace", from.display())))
}
