//! The API server takes this project's resources, and refuses bad ones in words; and pods that may do too much.

use serde_json::{Value, json};
use teasel_tests::cluster::{shared, wait_for};

use crate::place::{job_with, smallest_spec};

/// A job that is as small as possible.
fn job(name: &str) -> Value {
    job_with(name, smallest_spec())
}

#[test]
fn the_example_is_taken_and_explained() {
    let cluster = shared();
    cluster.install_resources().unwrap();
    let namespace = cluster.namespace().unwrap();
    let example = include_str!("../../../examples/movielens-100k/job.yaml");
    namespace.apply(example).unwrap();
    let taken = namespace.json(&["get", "recjob", "movielens-100k"]).unwrap();
    assert_eq!(taken["spec"]["training"], json!({"seed": 1, "workers": 2}), "no default is filled in");

    // The API server publishes descriptions a moment after it takes objects.
    let explained =
        wait_for("descriptions of the fields", || cluster.kubectl(&["explain", "recommenderjobs.spec"]).map(Some))
            .unwrap();
    for field in ["storage", "data", "model", "training", "gates", "scoring", "publish", "history"] {
        assert!(explained.contains(&format!("  {field}\t")), "{field}: {explained}");
    }
    let columns = namespace.kubectl(&["get", "recommenderjobs"]).unwrap();
    assert!(columns.starts_with("NAME "), "{columns}");
    assert!(columns.contains("CHECKPOINT"), "{columns}");
    let scheduled = wait_for("descriptions of the other resource", || {
        cluster.kubectl(&["explain", "scheduledrecommenderjobs.spec.schedule"]).map(Some)
    })
    .unwrap();
    assert!(scheduled.contains("FIELD: schedule"), "{scheduled}");
}

#[test]
fn a_bad_job_is_refused_in_words() {
    let cluster = shared();
    cluster.install_resources().unwrap();
    let namespace = cluster.namespace().unwrap();
    namespace.apply(&job(&"a".repeat(40)).to_string()).unwrap();
    let long = namespace.apply(&job(&"a".repeat(41)).to_string()).unwrap_err().to_string();
    assert!(long.contains("the name of a job has at most 40 characters"), "{long}");

    let mut idle = job("idle");
    idle["spec"]["training"] = json!({"workers": 0});
    let idle = namespace.apply(&idle.to_string()).unwrap_err().to_string();
    assert!(idle.contains("spec.training.workers: Invalid value: 0"), "{idle}");
    assert!(idle.contains("should be greater than or equal to 1"), "{idle}");

    for (field, value) in [("epochs", json!(5_000_000_000_u64)), ("checkpoint", json!({"interval": "500ms"}))] {
        let mut odd = job("odd");
        odd["spec"]["training"] = json!({field: value});
        let odd = namespace.apply(&odd.to_string()).unwrap_err().to_string();
        assert!(odd.contains(&format!("spec.training.{field}")), "{odd}");
    }

    let mut unknown = job("unknown");
    unknown["spec"]["trainnig"] = json!({"workers": 1});
    let unknown = namespace.apply(&unknown.to_string()).unwrap_err().to_string();
    assert!(unknown.contains("trainnig"), "{unknown}");
}

#[test]
fn pod_security_is_enforced() {
    let cluster = shared();
    let namespace = cluster.namespace().unwrap();
    let refused = namespace.kubectl(&["run", "root", "--image", "teasel.test/any:1"]).unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{refused}");
}

#[test]
fn helm_reaches_the_cluster() {
    let cluster = shared();
    let namespace = cluster.namespace().unwrap();
    assert_eq!(namespace.helm(&["list", "--output", "json"]).unwrap().trim(), "[]");
    let refused = namespace.helm(&["uninstall", "missing"]).unwrap_err().to_string();
    assert!(refused.contains("release: not found"), "{refused}");
}
