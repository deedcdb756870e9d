//! Retraining by the clock, and on request.

use std::time::Duration;

use serde_json::{Value, json};
use teasel_tests::cluster::{shared_with_real_nodes, wait_for};

use crate::place::Place;

const A_TICK: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_and_a_request_train_and_publish_anew() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    let schedule = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": {"name": "nightly"},
        "spec": {
            "schedule": "* * * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": {"labels": {"team": "films"}}, "spec": place.spec()},
        },
    });
    place.namespace.apply(&schedule.to_string()).unwrap();
    let status = |what: &str, ready: &dyn Fn(&Value) -> bool| {
        wait_for(what, A_TICK, || {
            let status = place.namespace.json(&["get", "srecjob", "nightly"])?["status"].clone();
            anyhow::ensure!(ready(&status), "{status:#}");
            Ok(Some(status))
        })
        .unwrap()
    };
    let first = status("a tick's run to be published", &|status| {
        status["lastPublishedRun"].is_string() && status["lastSuccessfulTime"].is_string()
    });
    assert!(first["nextScheduleTime"].is_string(), "{first}");

    // No more ticks; a request is served all the same.
    let paused = json!({"spec": {"suspend": true}}).to_string();
    place.namespace.kubectl(&["patch", "srecjob", "nightly", "--type=merge", "--patch", &paused]).unwrap();
    status("no next tick", &|status| status["nextScheduleTime"].is_null() && status["active"].is_null());
    let before = status("the last run", &|status| status["lastPublishedRun"].is_string());
    std::thread::sleep(until_a_new_minute());
    let asked = format!("teasel.dev/retrain-at={}", jiff::Timestamp::now());
    place.namespace.kubectl(&["annotate", "srecjob", "nightly", &asked]).unwrap();
    let retrained = status("the run that was asked for", &|status| {
        let published = status["lastPublishedRun"].is_string();
        published && status["lastPublishedRun"] != before["lastPublishedRun"] && status["active"].is_null()
    });
    assert_eq!(place.published_run().await.as_deref(), retrained["lastPublishedRun"].as_str());

    let jobs = place.namespace.json(&["get", "recommenderjobs"]).unwrap();
    let jobs = jobs["items"].as_array().unwrap();
    assert!(jobs.len() >= 2);
    for job in jobs {
        assert_eq!(
            (&job["metadata"]["labels"]["team"], &job["status"]["phase"]),
            (&json!("films"), &json!("Succeeded"))
        );
    }
    let table = place.namespace.kubectl(&["get", "scheduledrecommenderjobs"]).unwrap();
    assert!(table.contains("Europe/Berlin") && table.contains("* * * * *"), "{table}");
}

/// Each minute is one tick at most, also of those that are asked for.
fn until_a_new_minute() -> Duration {
    let second = jiff::Timestamp::now().as_second().rem_euclid(60);
    Duration::from_secs(61 - second.unsigned_abs())
}
