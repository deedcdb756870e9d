//! From the command line to running controllers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use futures::future::{join, join_all};
use kube::Client;
use kube::runtime::events::Recorder;
use kube_lease_manager::{LeaseManagerBuilder, LeaseParams};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::configuration::Configuration;
use crate::context::Context;
use crate::job;
use crate::leadership::{self, LEASE, LEASE_GRACE, LEASE_SECONDS};
use crate::metrics::Metrics;
use crate::schedule;
use crate::server::{self, Health};

/// Turns recommender jobs into Kubernetes objects and status.
#[derive(Debug, Parser)]
#[command(name = "teasel-operator", version)]
struct Arguments {
    /// Configuration file
    #[arg(long, default_value = "/etc/teasel/operator.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Where health and metrics are served
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Namespace of the lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "default", value_name = "NAMESPACE")]
    lease_namespace: String,
    /// Name of this process among its like
    #[arg(long, env = "POD_NAME", default_value_t = format!("teasel-operator-{}", std::process::id()), value_name = "NAME")]
    identity: String,
}

/// Runs the operator until SIGTERM.
///
/// # Errors
/// Where it can't start: a wrong configuration, no cluster. Later it only ends because it lost its lease.
pub fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::try_from_env("TEASEL_LOG").unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();
    let configuration = Configuration::read(&arguments.config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")?;
    let code = runtime.block_on(run(arguments, configuration))?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    Ok(code)
}

async fn run(arguments: Arguments, configuration: Configuration) -> anyhow::Result<ExitCode> {
    let client = Client::try_default().await.context("no cluster is configured")?;
    let recorder = Recorder::new(client.clone(), job::reconcile::reporter(&arguments.identity));
    let context = Arc::new(Context {
        client: client.clone(),
        http: reqwest::Client::new(),
        configuration,
        recorder,
        metrics: Metrics::default(),
        failures: crate::context::Failures::default(),
        asked: crate::context::Asked::default(),
    });
    let health = Arc::new(Health::default());
    let (stop, stopped) = watch::channel(false);
    stop_on_signals(stop.clone())?;
    let served = tokio::spawn(server::serve(arguments.listen, Arc::clone(&context), Arc::clone(&health)));

    // A renewal that is never answered must not keep a lease from being found lost.
    let mut answered = kube::Config::infer().await.context("no cluster is configured")?;
    answered.read_timeout = Some(std::time::Duration::from_secs(LEASE_GRACE));
    let lease = LeaseManagerBuilder::new(Client::try_from(answered)?, LEASE)
        .with_namespace(&arguments.lease_namespace)
        .with_parameters(LeaseParams::new(&arguments.identity, LEASE_SECONDS, LEASE_GRACE))
        .build()
        .await
        .context("can't read or create the lease")?;
    health.set_ready();
    let (mut leading, renewal) = lease.watch().await;
    tracing::info!(identity = %arguments.identity, "waiting for the lease");
    let mut interrupted = stopped.clone();
    tokio::select! {
        led = leading.wait_for(|leads| *leads) => { led.context("the lease's renewal ended")?; }
        _ = interrupted.wait_for(|stopped| *stopped) => return Ok(ExitCode::SUCCESS),
        ended = served => { ended?.context("can't serve health and metrics")?; }
    }
    tracing::info!(identity = %arguments.identity, "leading");

    let controllers = start(&context, &health, &stopped);
    let mut lost = leading.clone();
    let unknown = leadership::lost(client, &arguments.lease_namespace, &arguments.identity);
    let code = tokio::select! {
        () = controllers => ExitCode::SUCCESS,
        () = unknown => {
            tracing::error!("the lease isn't known to be ours any more");
            ExitCode::FAILURE
        }
        _ = lost.wait_for(|leads| !*leads) => {
            // Whoever leads now must not meet our writes.
            tracing::error!("the lease is lost");
            ExitCode::FAILURE
        }
    };
    drop((leading, lost));
    // Gives the lease back, so that the next one needn't wait for its end.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), renewal).await;
    tracing::info!("stopped");
    Ok(code)
}

/// Starts a controller for each namespace, or one for all.
async fn start(context: &Arc<Context>, health: &Arc<Health>, stopped: &watch::Receiver<bool>) {
    let named = &context.configuration.namespaces;
    let namespaces: Vec<Option<String>> =
        if named.is_empty() { vec![None] } else { named.iter().cloned().map(Some).collect() };
    let controllers = namespaces.into_iter().map(|namespace| {
        let jobs = job::controller::run(Arc::clone(context), namespace.clone(), health, until(stopped.clone()));
        let schedules = schedule::controller::run(Arc::clone(context), namespace, health, until(stopped.clone()));
        join(jobs, schedules)
    });
    join_all(controllers).await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn stop_on_signals(stop: watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't handle SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    Ok(())
}
