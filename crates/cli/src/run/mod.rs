//! `teasel run`: a job from its data to published recommendations, on this machine.

mod attempts;
mod gpus;
mod interrupt;
mod local;
mod process;
mod progress;
mod run_id;
mod stages;
mod summary;

use teasel_api::outcome::{ExitCode, GATE_NOT_MET};
use teasel_api::task::Ownership;
use teasel_storage::{Patience, Store};

use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::job_file;
use crate::reference::{open, owner_of};
use crate::secrets::Secrets;
use local::Local;
use stages::Stages;

pub(crate) use interrupt::Interrupt;
pub(crate) use local::{Local as LocalWorkers, command_line};
pub(crate) use progress::Display;
pub(crate) use stages::{publish as publish_tenant, scored_hash};

/// Runs a job.
pub(crate) async fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    tokio::select! {
        result = run_stages(arguments, interrupt.clone()) => result,
        signal = interrupt.without_workers() => Err(Failure::Interrupted {
            signal,
            message: format!("interrupted. Go on with: teasel run {}", arguments.job.display()),
        }),
    }
}

/// Finds out soon whether the store is there at all: what runs unattended later has the patience of minutes.
async fn is_reached(storage: &Store) -> Result<(), Failure> {
    match storage.head("run.json").await {
        Err(error) if error.exit_code() == ExitCode::StorageUnavailable => Err(error.into()),
        // Whatever else it says, it says something.
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn run_stages(arguments: &RunArguments, interrupt: Interrupt) -> Result<(), Failure> {
    let job = job_file::load(&arguments.job)?;
    let secrets = Secrets::read(&arguments.secrets.files)?;
    secrets.check(&job)?;
    is_reached(&open(&job.storage, "storage", &secrets, Patience::Moment)?).await?;
    let storage = open(&job.storage, "storage", &secrets, Patience::Outage)?;
    let _lock = local::lock(&job.name, &storage)?;
    let mut local = Local::new(format!("teasel run {}", arguments.job.display()), interrupt)?;

    let prepared = stages::prepare(&mut local, &job, &secrets).await?;
    let dataset =
        prepared.dataset.clone().ok_or_else(|| Failure::new(ExitCode::Bug, "prepare named no dataset"))?;
    let base = run_id::base_of(&job, &dataset);
    let (run, record) = run_id::choose(&storage, &base, arguments.fresh).await?;
    let ownership = record.map_or_else(
        || Ownership { owner: owner_of(&job), sequence: teasel_storage::now_milliseconds() },
        |record| record.ownership,
    );

    let mut stages =
        Stages { local, job: &job, storage, secrets: &secrets, run, ownership, dataset, worked: false };
    stages.train().await?;
    let evaluated = stages.evaluate().await?;
    if evaluated.reason == GATE_NOT_MET {
        if arguments.json {
            let report = stages.report().await?;
            println!("{}", summary::to_json(&stages.run, &evaluated.metrics, &[], report.as_deref())?);
        }
        return Err(Failure::GateNotMet(format!(
            "run {}: a gate isn't met, nothing is published: {}",
            stages.run, evaluated.message
        )));
    }
    let tenants = stages.score().await?;
    stages.collect().await?;

    let result = summary::Summary {
        run: &stages.run,
        worked: stages.worked,
        job_file: &arguments.job,
        prepared: &prepared,
        metrics: &evaluated.metrics,
        tenants: &tenants,
        report: stages.report().await?,
    };
    if arguments.json {
        let document = summary::to_json(&stages.run, &evaluated.metrics, &tenants, result.report.as_deref())?;
        println!("{document}");
    } else {
        println!("{}", result.to_table());
    }
    summary::unpublished(&tenants, &arguments.job);
    Ok(())
}
