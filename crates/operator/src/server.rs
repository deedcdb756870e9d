//! Health and metrics over HTTP.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::context::Context;

/// What the metrics are written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the operator is, as probes ask.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether it has reached the API server. A standby is ready too, or a rollout would wait for ever.
    ready: AtomicBool,
    /// Its watches that have gone silent.
    silent: Mutex<BTreeSet<String>>,
}

impl Health {
    /// Says that the API server answers.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Says whether a watch has gone silent.
    pub fn set_silent(&self, watch: &str, silent: bool) {
        let mut watches = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if silent {
            watches.insert(watch.to_owned());
        } else {
            watches.remove(watch);
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn silent(&self) -> Vec<String> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` at `listen`.
///
/// # Errors
/// Where the address can't be bound.
pub async fn serve(listen: SocketAddr, context: Arc<Context>, health: Arc<Health>) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tracing::info!("serving health and metrics at {}", listener.local_addr()?);
    axum::serve(listener, router(context, health)).await
}

fn router(context: Arc<Context>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((context, health))
}

type Served = (Arc<Context>, Arc<Health>);

async fn healthz(State((_, health)): State<Served>) -> (StatusCode, String) {
    match health.silent() {
        silent if silent.is_empty() => (StatusCode::OK, "ok".into()),
        silent => (StatusCode::SERVICE_UNAVAILABLE, format!("a watch has gone silent: {}", silent.join(", "))),
    }
}

async fn readyz(State((_, health)): State<Served>) -> (StatusCode, &'static str) {
    match health.is_ready() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the API server hasn't answered yet"),
    }
}

async fn metrics(State((context, _)): State<Served>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, OPEN_METRICS)], context.metrics.render())
}
