//! A job's life: stopped and continued, mended, approved, ended, deleted.

use serde_json::{Value, json};
use teasel_tests::cluster::{Shared, shared_with_real_nodes, wait_for};

use crate::place::{Place, attempts, condition};

/// A training that goes on for minutes, and ends by early stopping only if it is left to. It leaves other tests most of the
/// processors.
pub(crate) fn long(spec: &mut Value) {
    let resources = json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "500m", "memory": "512Mi"}});
    spec["training"]["template"] = json!({"spec": {"containers": [{"name": "worker", "resources": resources}]}});
    spec["training"]["epochs"] = json!(20_000);
    spec["training"]["earlyStopping"] = json!({"patience": 20_000});
}

fn cluster() -> Option<Shared> {
    shared_with_real_nodes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_job_frees_everything_and_goes_on_from_its_checkpoint() {
    let Some(cluster) = cluster() else { return };
    let place = Place::make(&cluster).await;
    place.apply(long);
    place.wait("some steps", |status| status["progress"]["step"].as_u64() > Some(10));
    let shown = place.teasel(&["status", "films"]);
    assert!(shown.contains("Training") && shown.contains("of 20000"), "{shown}");
    place.teasel(&["suspend", "films"]);
    let suspended = place.wait_for_condition("Suspended", "True", "Suspended");
    assert_eq!(suspended["phase"], "Suspended");
    place.wait_until_no_pods();
    assert!(suspended["activeSince"].is_null(), "{suspended}");

    place.teasel(&["resume", "films"]);
    let resumed = place.wait("further steps", |status| {
        status["phase"] == "Training" && attempts(status, "train").last().unwrap()["firstStep"].as_u64() > Some(0)
    });
    let trained: Vec<&Value> = attempts(&resumed, "train").into_iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(trained, [&json!("Suspended"), &Value::Null]);
    assert!(
        resumed["restarts"].is_null() && resumed["disruptions"].is_null(),
        "a suspension costs nothing: {resumed}"
    );

    // Deleted in the middle of it, nothing is left.
    place.delete();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_is_mended_by_an_edit_a_secret_or_a_retry() {
    let Some(cluster) = cluster() else { return };
    let place = Place::make(&cluster).await;
    place.namespace.kubectl(&["delete", "secret", "city-storage"]).unwrap();
    place.apply(|spec| spec["data"]["interactions"]["columns"]["item"] = json!("movie"));
    let failed = place.wait("the failure", |status| status["phase"] == "Failed");
    let said = condition(&failed, "Failed").unwrap()["message"].as_str().unwrap();
    assert!(said.contains("movie") && said.contains("interactions"), "{said}");

    place.patch(json!({"spec": {"data": {"interactions": {"columns": {"item": "item_id"}}}}})).unwrap();
    place.wait("the missing secret to be named", |status| {
        let pods = place.namespace.kubectl(&["get", "pods"]).unwrap_or_default();
        status["phase"] == "Scoring" && pods.contains("CreateContainerConfigError")
    });
    // Another key than the store knows.
    place
        .namespace
        .apply(&place.store.secret_manifest("city", |values| {
            values.insert("AWS_SECRET_ACCESS_KEY".into(), "guessed".into());
        }))
        .unwrap();
    place.wait("the refusal", |status| {
        attempts(status, "score").iter().any(|attempt| attempt["reason"] == "PermissionDenied")
    });
    place.namespace.apply(&place.store.secret_manifest("city", |_| {})).unwrap();
    place.teasel(&["retry", "films"]);
    let done = place.complete();
    assert_eq!((&done["publishedTenants"], done["retry"].is_string()), (&json!(1), true), "{done}");
    assert_eq!(place.published_run().await.as_ref(), done["run"].as_str().map(str::to_owned).as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_not_met_publishes_nothing_until_it_is_lowered_and_somebody_approves() {
    let Some(cluster) = cluster() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|spec| {
        spec["gates"] = json!([{"metric": "ndcg@100", "minimum": 0.99}]);
        spec["publish"] = json!({"mode": "Manual"});
    });
    let failed = place.wait_for_condition("Failed", "True", "GateNotMet");
    let said = condition(&failed, "GatesPassed").unwrap()["message"].as_str().unwrap();
    assert!(said.contains("0.99"), "{said}");
    assert_eq!(place.published_run().await, None);

    // What was trained is frozen for good.
    let refused = place.patch(json!({"spec": {"training": {"epochs": 4}}})).unwrap_err().to_string();
    assert!(refused.contains("resumeFrom"), "{refused}");

    place.patch(json!({"spec": {"gates": [{"metric": "ndcg@100", "minimum": 0.01}]}})).unwrap();
    let waiting = place.wait_for_condition("Published", "False", "AwaitingApproval");
    assert_eq!(place.published_run().await, None);
    assert_eq!(attempts(&waiting, "train").len(), 1, "{waiting}");
    place.complete();
    place.teasel(&["publish", "films"]);
    let published = place.wait_for_condition("Published", "True", "Published");
    assert_eq!(place.published_run().await.as_deref(), published["run"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_stops_a_job_and_its_time_to_live_removes_it() {
    let Some(cluster) = cluster() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|spec| {
        long(spec);
        spec["activeDeadlineSeconds"] = json!(10);
    });
    let failed = place.wait_for_condition("Failed", "True", "DeadlineExceeded");
    assert_eq!(failed["phase"], "Failed");
    // With more time it goes on, and with a time to live it goes.
    place.patch(json!({"spec": {"activeDeadlineSeconds": 3600}})).unwrap();
    place.wait("training again", |status| status["phase"] == "Training");
    place.patch(json!({"spec": {"activeDeadlineSeconds": 11}})).unwrap();
    place.wait_for_condition("Failed", "True", "DeadlineExceeded");
    place.patch(json!({"spec": {"ttlSecondsAfterFinished": 1}})).unwrap();
    wait_for("the job to be gone", || {
        let left = place.namespace.kubectl(&["get", "recommenderjobs,jobs,pods", "--output=name"])?;
        anyhow::ensure!(left.trim().is_empty(), "{left}");
        Ok(Some(()))
    })
    .unwrap();
}
