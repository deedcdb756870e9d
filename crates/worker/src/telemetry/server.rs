//! The HTTP server of a worker.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use teasel_api::progress::Progress;

use super::ProgressHandle;

/// Serves `progress` at `listen` until the runtime ends, and writes the bound address to `address_file`.
///
/// Telemetry never fails a task: the caller logs an error and goes on.
pub(crate) async fn serve(
    listen: SocketAddr,
    address_file: Option<&Path>,
    progress: ProgressHandle,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    if let Some(file) = address_file {
        // Renamed into place, so that a reader never sees half an address.
        let partial = file.with_extension("partial");
        tokio::fs::write(&partial, listener.local_addr()?.to_string()).await?;
        tokio::fs::rename(&partial, file).await?;
    }
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/progress", get(|State(progress): State<ProgressHandle>| async move { Json(progress.get()) }))
        .route("/metrics", get(|State(progress): State<ProgressHandle>| async move { render(&progress.get()) }))
        .with_state(progress);
    axum::serve(listener, router).await
}

/// The progress in Prometheus' text format.
fn render(progress: &Progress) -> String {
    let mut registry = Registry::with_prefix("teasel_worker");
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    gauge("epoch", "Epoch that is running", None, f64::from(progress.epoch));
    gauge("epochs", "Epochs at most", None, f64::from(progress.epochs));
    gauge("progress", "Share of the task that is done", Some(Unit::Ratios), progress.percent / 100.0);
    gauge("users_per_second", "Users trained on or scored per second", None, progress.users_per_second);
    if let Some(loss) = progress.loss {
        gauge("loss", "Mean loss per user in this epoch", None, loss);
    }
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use teasel_api::task::TaskKind;

    use super::*;

    #[test]
    fn progress_renders_as_prometheus_text() {
        let mut progress = Progress::new(TaskKind::Train);
        progress.percent = 25.0;
        progress.loss = Some(1.5);
        let text = render(&progress);
        assert!(text.contains("teasel_worker_progress_ratios 0.25"), "{text}");
        assert!(text.contains("teasel_worker_loss 1.5"), "{text}");
    }
}
