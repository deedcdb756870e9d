//! The operator itself: replaced in the middle of its work, and asked how it is.

use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, OPERATOR_NAMESPACE, shared_with_real_nodes, wait_for};

use crate::place::Place;

/// Runs kubectl where the operator is.
fn in_operators_namespace(cluster: &Cluster, arguments: &[&str]) -> String {
    cluster.kubectl(&[arguments, &["--namespace", OPERATOR_NAMESPACE]].concat()).unwrap()
}

/// The pod that leads.
fn leader(cluster: &Cluster) -> String {
    let holder = "--output=jsonpath={.spec.holderIdentity}";
    in_operators_namespace(cluster, &["get", "lease", "teasel-operator", holder])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_replaced_in_the_middle_of_a_job_changes_nothing_about_it() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let place = Place::make(&cluster).await;
    place.apply(|spec| {
        spec["training"]["epochs"] = json!(500);
        spec["training"]["earlyStopping"] = json!({"patience": 500});
        // Leaves something to do for whoever leads in the end.
        spec["publish"] = json!({"mode": "Manual"});
    });
    place.wait("some steps", |status| status["progress"]["step"].as_u64() > Some(10));
    let before = leader(&cluster);
    for step in ["restart", "status"] {
        in_operators_namespace(&cluster, &["rollout", step, "deployment/teasel-operator"]);
    }
    place.complete();
    let after = wait_for("another leader", || {
        let after = leader(&cluster);
        Ok((!after.is_empty() && after != before).then_some(after))
    })
    .unwrap();
    place.teasel(&["publish", "films"]);
    let done = place.wait_for_condition("Published", "True", "Published");
    assert!(done["restarts"].is_null() && done["disruptions"].is_null(), "{done}");
    let started =
        done["attempts"].as_array().unwrap().iter().map(|attempt| (&attempt["task"], &attempt["outcome"]));
    assert!(started.clone().all(|(_, outcome)| outcome == "Succeeded"), "{done}");
    assert_eq!(started.filter(|(task, _)| *task == "train").count(), 1, "{done}");
    assert_eq!(place.published_run().await.as_deref(), done["run"].as_str());

    let asked = |path: &str| {
        let pod = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{after}:8080/proxy/{path}");
        wait_for(path, || cluster.kubectl(&["get", "--raw", &pod]).map(Some)).unwrap()
    };
    assert_eq!((asked("healthz"), asked("readyz")), ("ok".into(), "ok".into()));
    let metrics = asked("metrics");
    assert!(
        metrics.contains(r#"teasel_operator_attempts_ended_total{task="publish",outcome="Succeeded""#),
        "{metrics}"
    );
    assert!(!metrics.contains(place.namespace.name()), "{metrics}");
    let logs = in_operators_namespace(&cluster, &["logs", &after]);
    let lines: Vec<Value> = logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "leading"), "{logs}");
}
