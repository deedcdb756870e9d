//! `teasel validate`: every error of every file at once.

use teasel_api::outcome::ExitCode;

use crate::arguments::ValidateArguments;
use crate::failure::Failure;
use crate::job_file;

/// Checks the files.
pub(crate) fn run(arguments: &ValidateArguments) -> Result<(), Failure> {
    let (mut lines, mut exit) = (Vec::new(), ExitCode::Done);
    for path in &arguments.jobs {
        let violations = match job_file::read(path) {
            Ok(text) => teasel_api::validate(&text),
            Err(unreadable) => {
                lines.push(unreadable.to_string());
                if exit == ExitCode::Done {
                    exit = ExitCode::InputMissing;
                }
                continue;
            }
        };
        if violations.is_empty() {
            println!("{}: ok", path.display());
        } else {
            exit = ExitCode::BadConfiguration;
        }
        lines.extend(violations.iter().map(|violation| format!("{}: {violation}", path.display())));
    }
    if lines.is_empty() { Ok(()) } else { Err(Failure::new(exit, lines.join("\n"))) }
}
