//! teasel: runs, validates, publishes and inspects recommender jobs.

mod again;
mod arguments;
mod failure;
mod generate;
mod job_file;
mod publish;
mod recommend;
mod reference;
mod report;
mod run;
mod runs;
mod secrets;
mod validate;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            error.print().context("can't print")?;
            // Help and version end well; clap's own code for the rest is 2.
            let usage = teasel_api::outcome::ExitCode::Usage as u8;
            return Ok(if error.use_stderr() { ExitCode::from(usage) } else { ExitCode::SUCCESS });
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("TEASEL_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().context("can't start the runtime")?;
    let ended = runtime.block_on(dispatch(&arguments.command));
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    })
}

async fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Validate(arguments) => validate::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        Command::Recommend(arguments) => recommend::run(arguments).await,
        Command::Publish(arguments) => publish::publish(arguments).await,
        Command::Rollback(arguments) => publish::rollback(arguments).await,
        Command::Evaluate(arguments) => again::evaluate(arguments).await,
        Command::Compare(arguments) => again::compare(arguments).await,
        Command::Report(arguments) => report::run(arguments).await,
        Command::Runs(arguments) => runs::run(arguments).await,
    }
}
