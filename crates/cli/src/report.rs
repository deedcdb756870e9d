//! `teasel report`: a finished run's report, made again from what its evaluation wrote.

use serde::de::DeserializeOwned;
use teasel_api::outcome::ExitCode;
use teasel_storage::manifest::File;
use teasel_storage::run_log::RunLog;

use crate::arguments::ReportArguments;
use crate::failure::Failure;
use crate::reference::find;

/// Writes the page, and opens it if asked.
pub(crate) async fn run(arguments: &ReportArguments) -> Result<(), Failure> {
    let reference = find(&arguments.reference).await?;
    let run = &reference.record.run;
    let log = RunLog::open(&reference.storage, run).await?;
    let files = ["metrics.json", "portrait.json"].map(|name| find_file(&log, run, name));
    let [measured, portrait] = files;
    let (measured, portrait) = (read(&log, measured?).await?, read(&log, portrait?).await?);
    let page = teasel_report::render(&measured, &portrait);
    let path = arguments.out.clone().unwrap_or_else(|| format!("report-{run}.html").into());
    std::fs::write(&path, page)
        .map_err(|error| Failure::local(&format!("can't write {}", path.display()), error))?;
    println!("{}", path.display());
    if arguments.open {
        open::that_detached(&path)
            .map_err(|error| Failure::local(&format!("can't open {} in a browser", path.display()), error))?;
    }
    Ok(())
}

fn find_file<'a>(log: &'a RunLog, run: &str, name: &str) -> Result<&'a File, Failure> {
    log.state().report(name).ok_or_else(|| {
        let message = match log.state().report("metrics.json") {
            None => format!("run {run} isn't evaluated yet: it has no report"),
            Some(_) => format!("run {run} was evaluated by a release without {name}: its report can't be made"),
        };
        Failure::new(ExitCode::InputMissing, message)
    })
}

async fn read<T: DeserializeOwned>(log: &RunLog, file: &File) -> Result<T, Failure> {
    let folder = log.folder();
    let bytes = folder.get_checked(file).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(ExitCode::BadData, format!("can't read {}: {error}", folder.uri_of(&file.name)))
    })
}
