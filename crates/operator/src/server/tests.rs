//! What probes and scrapers are answered, over a socket.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use kube::runtime::events::Recorder;
use rstest::rstest;
use serde_json::json;
use teasel_api::spec::RecommenderJob;

use super::*;
use crate::context::{Asked, Failures};
use crate::fake_cluster::FakeCluster;
use crate::job::decide::Decision;
use crate::job::reconcile::reporter;
use crate::metrics::Metrics;

/// An operator that serves on a port of its own.
struct Server {
    context: Arc<Context>,
    health: Arc<Health>,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let client = FakeCluster::default().client();
        let context = Arc::new(Context {
            client: client.clone(),
            http: reqwest::Client::new(),
            configuration: serde_json::from_value(json!({"workerImage": "worker"})).unwrap(),
            recorder: Recorder::new(client, reporter("test")),
            metrics: Metrics::default(),
            failures: Failures::default(),
            asked: Asked::default(),
        });
        let health = Arc::new(Health::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&context), Arc::clone(&health));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Server { context, health, address }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        text
    }
}

#[tokio::test]
async fn an_operator_is_alive_from_the_start_and_ready_once_the_api_server_has_answered() {
    let served = Server::start().await;
    assert_eq!(served.get("/healthz").await, (200, "ok".into()));
    assert_eq!(served.get("/readyz").await, (503, "the API server hasn't answered yet".into()));
    served.health.set_ready();
    assert_eq!(served.get("/readyz").await, (200, "ok".into()));
}

#[tokio::test]
async fn a_silent_watch_shows_until_it_speaks_again_and_takes_nobody_out_of_service() {
    let served = Server::start().await;
    served.health.set_ready();
    served.health.set_silent("recommenderjobs in a", true);
    // One that is well hides no other.
    served.health.set_silent("recommenderjobs in b", false);
    assert_eq!(served.get("/healthz").await, (503, "a watch has gone silent: recommenderjobs in a".into()));
    assert_eq!(served.get("/readyz").await.0, 200);
    served.health.set_silent("recommenderjobs in a", false);
    assert_eq!(served.get("/healthz").await.0, 200);
}

#[rstest]
#[case("/")]
#[case("/healthz/verbose")]
#[case("/debug")]
#[tokio::test]
async fn nothing_else_is_served(#[case] path: &str) {
    assert_eq!(Server::start().await.get(path).await.0, 404);
}

#[tokio::test]
async fn metrics_are_said_to_be_in_the_format_that_they_are_in() {
    let served = Server::start().await;
    let answer = reqwest::get(format!("http://{}/metrics", served.address)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], OPEN_METRICS);
    assert!(answer.text().await.unwrap().ends_with("# EOF\n"));
}

/// Lets the operator count a job of a tenant, with names that are easy to find.
fn count(context: &Context) {
    let job: RecommenderJob = serde_json::from_value(json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
        "metadata": {"name": "name-of-job", "namespace": "name-of-namespace", "uid": "name-of-uid"},
        "spec": {
            "storage": {"uri": "s3://teasel/films"},
            "data": {"interactions": {"location": {"uri": "s3://x.csv"}, "columns": {"user": "u", "item": "i"}}},
            "scoring": {"tenants": [{"name": "name-of-tenant", "output": {"uri": "s3://lists"}}]},
        },
    }))
    .unwrap();
    let status = json!({
        "phase": "Failed",
        "reason": "TenantsFailed",
        "run": "name-of-run",
        "attempts": [{
            "task": "score", "tenant": "name-of-tenant", "number": 1, "jobUID": "name-of-child",
            "startTime": "2026-01-01T00:00:00Z", "hash": "name-of-hash", "outcome": "PermanentFailure", "reason": "BadData",
            "message": "name-of-message",
        }],
    });
    let decision = Decision { status: serde_json::from_value(status).unwrap(), ..Decision::default() };
    context.metrics.observe(&job, &decision);
    context.reconciled("RecommenderJob", "name-of-namespace/name-of-job", Duration::from_millis(1), Some(false));
}

#[tokio::test]
async fn metrics_count_phases_attempts_and_reconciles() {
    let served = Server::start().await;
    count(&served.context);
    let text = served.metrics().await;
    for line in [
        r#"teasel_operator_phase_changes_total{phase="Failed",reason="TenantsFailed"} 1"#,
        r#"teasel_operator_attempts_ended_total{task="score",outcome="PermanentFailure",reason="BadData"} 1"#,
        r#"teasel_operator_reconciles_total{kind="RecommenderJob",result="error"} 1"#,
        "teasel_operator_reconcile_seconds_count 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn no_metric_makes_a_series_of_each_object() {
    let served = Server::start().await;
    count(&served.context);
    let text = served.metrics().await;
    assert!(!text.contains("name-of-"), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let labels = series.filter_map(|line| line.split_once('{')?.1.split_once('}'));
    let names: BTreeSet<&str> = labels
        .flat_map(|(labels, _)| labels.split(','))
        .filter_map(|label| Some(label.split_once('=')?.0))
        .collect();
    assert_eq!(names, BTreeSet::from(["kind", "le", "outcome", "phase", "reason", "result", "task"]));
}
