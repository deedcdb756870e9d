//! Health and metrics over HTTP.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Whether its watches have gone silent.
    silent: AtomicBool,
}

impl Health {
    /// Says that the API server answers.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Says whether watches have gone silent.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
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

async fn healthz(State((_, health)): State<Served>) -> (StatusCode, &'static str) {
    match health.is_silent() {
        false => (StatusCode::OK, "ok"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "a watch has gone silent"),
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
