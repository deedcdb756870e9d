//! Programs of this project's folder.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use teasel_storage::testing::workspace;

/// Runs a script of the project and returns what it prints.
///
/// # Errors
/// Where it fails, with what it said.
pub fn script(path: &str, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
    let program = workspace()?.join(path);
    let output = Command::new(&program).args(arguments).stderr(Stdio::piped()).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{path} can't start"))?;
    Ok(good(&program, arguments, output)?.trim_end().to_owned())
}

pub(super) fn good(program: &Path, arguments: &[impl AsRef<OsStr>], output: Output) -> Result<String> {
    if !output.status.success() {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} {}: {}: {}", arguments.join(" "), output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
