//! kubectl teasel: watches, mends and publishes recommender jobs in a cluster.

mod arguments;
mod cluster;
mod events;
mod failure;
mod logs;
mod output;
mod reference;
mod requests;
mod retrain;
mod retry;
mod status;
mod suspend;
mod target;
mod wait;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use arguments::{Arguments, Command};
use cluster::Cluster;
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
    // What fails is said once, at the end.
    let log = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).with_env_var("TEASEL_LOG");
    tracing_subscriber::fmt().with_env_filter(log.from_env_lossy()).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Runtime::new().context("can't start the runtime")?;
    let ended = runtime.block_on(dispatch(&arguments));
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    })
}

async fn dispatch(arguments: &Arguments) -> Result<(), Failure> {
    let cluster = Cluster::connect(&arguments.connection).await?;
    match &arguments.command {
        Command::Status(arguments) => status::run(&cluster, arguments).await,
        Command::Logs(arguments) => logs::run(&cluster, arguments).await,
        Command::Events(arguments) => events::run(&cluster, arguments).await,
        Command::Suspend(arguments) => suspend::suspend(&cluster, &arguments.name).await,
        Command::Resume(arguments) => suspend::resume(&cluster, &arguments.name).await,
        Command::Retry(arguments) => retry::run(&cluster, arguments).await,
        Command::Retrain(arguments) => retrain::run(&cluster, arguments).await,
        Command::Publish(arguments) => requests::publish::run(&cluster, arguments).await,
        Command::Rollback(arguments) => requests::rollback::rollback(&cluster, arguments).await,
        Command::Release(arguments) => requests::rollback::release(&cluster, arguments).await,
    }
}
