//! An object that the operator can't read, in a cluster whose schema is another release's.

use anyhow::ensure;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, OPERATOR_NAMESPACE, alone_with_real_nodes, wait_for};

use crate::place::{condition, job_with, smallest_spec};

const BOUND: &str =
    "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/training/properties/epochs/maximum";

/// Takes the upper bound of `epochs` out of the schema, or puts it back.
fn bound(cluster: &Cluster, largest: Option<u32>) {
    let patch = match largest {
        None => json!([{"op": "remove", "path": BOUND}]),
        Some(largest) => json!([{"op": "add", "path": BOUND, "value": largest}]),
    };
    let name = "recommenderjobs.teasel.dev";
    cluster.kubectl(&["patch", "crd", name, "--type=json", "--patch", &patch.to_string()]).unwrap();
}

/// A suspended job.
fn job(name: &str, epochs: u64) -> Value {
    let mut spec = smallest_spec();
    spec["suspend"] = json!(true);
    spec["training"] = json!({"epochs": epochs});
    job_with(name, spec)
}

fn wait_until(namespace: &Namespace<'_>, name: &str, ready: impl Fn(&Value) -> bool) -> Value {
    wait_for("the operator to act", || {
        let status = namespace.json(&["get", "recjob", name])?["status"].clone();
        ensure!(ready(&status), "{status:#}");
        Ok(Some(status))
    })
    .unwrap()
}

fn is_suspended(status: &Value) -> bool {
    status["phase"] == "Suspended"
}

#[test]
fn an_object_that_cannot_be_read_says_why_and_keeps_no_other_waiting() {
    let Some(cluster) = alone_with_real_nodes() else { return };
    cluster.install_operator().unwrap();
    let namespace = cluster.namespace().unwrap();
    bound(&cluster, None);
    // The API server reads a changed definition a moment later.
    wait_for("the bound to be gone", || namespace.apply(&job("odd", 5_000_000_000).to_string()).map(Some)).unwrap();
    let status = wait_until(&namespace, "odd", |status| condition(status, "Validated").is_some());
    let validated = condition(&status, "Validated").unwrap();
    assert_eq!((&validated["status"], &validated["reason"]), (&json!("False"), &json!("InvalidSpec")));
    let message = validated["message"].as_str().unwrap();
    assert!(message.contains("spec.training.epochs"), "{message}");

    namespace.apply(&job("before", 5).to_string()).unwrap();
    wait_until(&namespace, "before", is_suspended);
    // The first list of an operator that starts has the object, too.
    let deployment = "deployment/teasel-operator";
    let in_operators = format!("--namespace={OPERATOR_NAMESPACE}");
    cluster.kubectl(&["rollout", "restart", deployment, &in_operators]).unwrap();
    cluster.kubectl(&["rollout", "status", deployment, &in_operators, "--timeout=600s"]).unwrap();
    namespace.apply(&job("after", 5).to_string()).unwrap();
    wait_until(&namespace, "after", is_suspended);

    namespace.apply(&job("odd", 5).to_string()).unwrap();
    let status = wait_until(&namespace, "odd", is_suspended);
    assert_eq!(condition(&status, "Validated").unwrap()["status"], "True");
    bound(&cluster, Some(u32::MAX));
}
