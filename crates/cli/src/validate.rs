//! `teasel validate`: every error of every file at once.

use teasel_api::outcome::ExitCode;

use crate::arguments::ValidateArguments;
use crate::failure::Failure;
use crate::job_file;

/// Checks the files.
pub(crate) fn run(arguments: &ValidateArguments) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for path in &arguments.jobs {
        let violations = teasel_api::validate(&job_file::read(path)?);
        if violations.is_empty() {
            println!("{}: ok", path.display());
        }
        lines.extend(violations.iter().map(|violation| format!("{}: {violation}", path.display())));
    }
    if lines.is_empty() { Ok(()) } else { Err(Failure::new(ExitCode::BadConfiguration, lines.join("\n"))) }
}
