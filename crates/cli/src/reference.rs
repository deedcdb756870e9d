//! `RUN`: a job file, a job file and a run's id, or a run's own URL.

use std::path::Path;

use teasel_api::location::{Location, credential_prefix};
use teasel_api::outcome::ExitCode;
use teasel_api::resolved::{Job, Tenant};
use teasel_storage::output::Version;
use teasel_storage::{Credentials, Patience, RunRecord, StorageError, Store};

use crate::arguments::RunReferenceArguments;
use crate::failure::Failure;
use crate::job_file;
use crate::secrets::Secrets;

/// A run that was found.
pub(crate) struct Reference {
    /// The job: that of the file where one was named, else the run's own.
    pub(crate) job: Job,
    /// The run's record.
    pub(crate) record: RunRecord,
    /// Whether the command line names this run, and not just its job.
    pub(crate) is_named: bool,
    /// Where the run is: the job's storage.
    pub(crate) location: Location,
    /// The same, opened.
    pub(crate) storage: Store,
    /// Credentials.
    pub(crate) secrets: Secrets,
}

impl Reference {
    /// Whole lists of the run for a tenant, the newest last.
    pub(crate) async fn scored_versions(&self, tenant: &Tenant) -> Result<Vec<Version>, Failure> {
        let output = open(&tenant.output, "output", &self.secrets, Patience::Moment)?;
        let run = &self.record.run;
        let mut whole = Vec::new();
        for score_hash in output.folders(&format!("runs/{run}")).await? {
            if let Some(manifest) = output.head(&format!("runs/{run}/{score_hash}/manifest.json")).await? {
                whole.push((manifest.last_modified, Version { run: run.clone(), score_hash }));
            }
        }
        whole.sort_by_key(|(written, _)| *written);
        Ok(whole.into_iter().map(|(_, version)| version).collect())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Failure::new(error.exit_code(), error.to_string())
    }
}

/// Opens a place of the job, with this patience, and with the credentials of its secret, else of its field's environment
/// variables.
pub(crate) fn open(
    location: &Location,
    field: &str,
    secrets: &Secrets,
    patience: Patience,
) -> Result<Store, Failure> {
    let given = secrets.of(location);
    let credentials = if given.is_empty() {
        Credentials::from_environment(&credential_prefix(field))
    } else {
        Credentials::from_pairs(given)
    };
    Ok(Store::open_with(location, &credentials, patience)?)
}

/// How a run is named on the command line.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    /// A job file, and a run's id; without one the newest.
    Job(&'a str, Option<&'a str>),
    /// A storage's URL and a run's id.
    Run(&'a str, &'a str),
}

fn parse(text: &str) -> Named<'_> {
    if let Some((storage, run)) = text.trim_end_matches('/').rsplit_once("/runs/")
        && !run.contains('/')
        && !text.ends_with(".yaml")
        && !text.ends_with(".yml")
    {
        return Named::Run(storage, run);
    }
    match text.rsplit_once('@') {
        Some((job, run)) if !run.contains('/') && !run.is_empty() => Named::Job(job, Some(run)),
        _ => Named::Job(text, None),
    }
}

/// Finds the run that the arguments name.
pub(crate) async fn find(arguments: &RunReferenceArguments) -> Result<Reference, Failure> {
    let secrets = Secrets::read(&arguments.secrets.files)?;
    let missing = |message: String| Failure::new(ExitCode::InputMissing, message);
    match parse(&arguments.run) {
        Named::Run(storage, run) => {
            let uri = if storage.contains("://") {
                storage.to_owned()
            } else {
                let path =
                    std::path::absolute(storage).map_err(|error| Failure::local("can't find the run", error))?;
                path.to_string_lossy().into_owned()
            };
            let location = Location { uri, secret_ref: None };
            let storage = open(&location, "storage", &secrets, Patience::Moment)?;
            let record = RunRecord::load(&storage, run).await?;
            let record = record.ok_or_else(|| missing(format!("there is no run {run} in {}", storage.uri())))?;
            Ok(Reference { job: record.job.clone(), record, is_named: true, location, storage, secrets })
        }
        Named::Job(path, id) => {
            let job = job_file::load(Path::new(path))?;
            let storage = open(&job.storage, "storage", &secrets, Patience::Moment)?;
            let record = match id {
                Some(run) => RunRecord::load(&storage, run)
                    .await?
                    .ok_or_else(|| missing(format!("there is no run {run} in {}", storage.uri())))?,
                None => runs_of(&storage, &owner_of(&job)).await?.pop().ok_or_else(|| {
                    missing(format!("the job {} has no run yet: `teasel run {path}` makes one", job.name))
                })?,
            };
            let location = job.storage.clone();
            Ok(Reference { job, record, is_named: id.is_some(), location, storage, secrets })
        }
    }
}

/// Whose a job's runs are.
pub(crate) fn owner_of(job: &Job) -> String {
    format!("{}/{}", job.namespace, job.name)
}

/// Records of an owner's runs, oldest first.
pub(crate) async fn runs_of(storage: &Store, owner: &str) -> Result<Vec<RunRecord>, Failure> {
    let mut records = Vec::new();
    for run in storage.folders("runs").await? {
        // A folder without a record is the rest of a collected run.
        records.extend(RunRecord::load(storage, &run).await?.filter(|record| record.ownership.owner == owner));
    }
    records.sort_by_key(|record| record.ownership.sequence);
    Ok(records)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("job.yaml", Named::Job("job.yaml", None))]
    #[case("a/job.yaml@3f2a-1", Named::Job("a/job.yaml", Some("3f2a-1")))]
    #[case("a@b/job.yaml", Named::Job("a@b/job.yaml", None))]
    #[case("a/runs/job.yaml", Named::Job("a/runs/job.yaml", None))]
    #[case("s3://b/films/runs/3f2a-1", Named::Run("s3://b/films", "3f2a-1"))]
    #[case("storage/runs/3f2a-1/", Named::Run("storage", "3f2a-1"))]
    fn a_run_is_named_by_job_or_url(#[case] text: &str, #[case] expected: Named<'_>) {
        assert_eq!(parse(text), expected);
    }
}
