//! `kubectl teasel`, found by kubectl as a plugin, against an API server. The tests answer in the operator's place, on a
//! cluster that has none: where others have installed it, there would be two.

mod requests;

use std::sync::LazyLock;

use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, Nodes, Options};
use teasel_tests::project::Ended;

use crate::place::smallest_spec;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::given().unwrap_or_else(|| Cluster::start(&Options::with(Nodes::None))).unwrap();
    cluster.install_resources().unwrap();
    cluster
});

fn apply_job(namespace: &Namespace, name: &str, schedule: Option<&str>) -> String {
    let labels = schedule.map(|schedule| json!({"teasel.dev/schedule": schedule}));
    let job = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": {"name": name, "labels": labels},
        "spec": smallest_spec(),
    });
    namespace.apply(&job.to_string()).unwrap();
    let made = namespace.json(&["get", "recjob", name]).unwrap();
    made["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn apply_schedule(namespace: &Namespace, name: &str) {
    let schedule = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": {"name": name},
        "spec": {"schedule": "@yearly", "jobTemplate": {"spec": smallest_spec()}},
    });
    namespace.apply(&schedule.to_string()).unwrap();
}

fn set_status(namespace: &Namespace, object: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    namespace.kubectl(&["patch", object, "--subresource=status", "--type=merge", "--patch", &patch]).unwrap();
}

fn teasel(namespace: &Namespace, arguments: &[&str]) -> Ended {
    CLUSTER.plugin(&[arguments, &["--namespace", namespace.name()]].concat()).unwrap()
}

/// What a command says that must end with this exit code.
fn ends_with(ended: Ended, code: i32) -> String {
    assert_eq!(ended.code(), code, "{}\n{}", ended.out, ended.err);
    format!("{}{}", ended.out, ended.err)
}

#[test]
fn a_job_is_shown_and_stopped_and_goes_on() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_job(&namespace, "films", None);
    let unseen = teasel(&namespace, &["status", "films"]).good();
    assert!(unseen.contains("the operator hasn't seen it"), "{unseen}");

    let status = json!({
        "phase": "Training", "reason": "Training", "workers": {"desired": 2, "ready": 1},
        "progress": {"epoch": 5, "epochs": 10, "step": 4500, "percent": 45},
        "conditions": [{"type": "Trained", "status": "False", "reason": "Training", "message": "it is being trained",
                        "lastTransitionTime": "2030-01-01T12:00:00Z"}],
        "tenants": [{"name": "city", "phase": "Pending"}],
    });
    set_status(&namespace, "recjob/films", &status);
    let shown = teasel(&namespace, &["status", "films", "--once"]).good();
    for part in ["Training: it is being trained", "1 of 2 ready", "45 %, epoch 5 of 10", "city"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(teasel(&namespace, &["status", "films", "-o", "json"]).json(), {
        let job = namespace.json(&["get", "recjob", "films"]).unwrap();
        job["status"].clone()
    });
    let all = CLUSTER.plugin(&["status", "-A"]).unwrap().good();
    assert!(all.lines().any(|line| line.starts_with(namespace.name()) && line.contains("films")), "{all}");

    let suspend = || namespace.json(&["get", "recjob", "films"]).unwrap()["spec"]["suspend"].clone();
    teasel(&namespace, &["suspend", "films"]).good();
    assert_eq!(suspend(), json!(true));
    assert!(teasel(&namespace, &["suspend", "films"]).good().contains("already"));
    teasel(&namespace, &["resume", "films"]).good();
    assert_eq!(suspend(), json!(null));

    let no_pods = ends_with(teasel(&namespace, &["logs", "films"]), 66);
    assert!(no_pods.contains("there are no pods"), "{no_pods}");
}

#[test]
fn what_isnt_there_is_named_with_what_is_alike() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_job(&namespace, "films", None);
    apply_schedule(&namespace, "nightly");
    for command in ["status", "logs", "events", "suspend", "resume", "retry", "publish", "rollback", "release"] {
        let said = ends_with(teasel(&namespace, &[command, "flims"]), 66);
        for part in ["RecommenderJob", "flims", namespace.name(), "recjob/films"] {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    // What serves both takes a schedule by its plain name.
    let shown = teasel(&namespace, &["status", "nightly"]).good();
    assert!(shown.contains("@yearly in Etc/UTC"), "{shown}");
    assert!(ends_with(teasel(&namespace, &["retry", "nightly"]), 66).contains("srecjob/nightly"));
    ends_with(teasel(&namespace, &["retry", "srecjob/nightly"]), 64);
    ends_with(teasel(&namespace, &["dream"]), 64);
}

#[test]
fn events_of_children_are_told_in_the_order_of_time() {
    let namespace = CLUSTER.namespace().unwrap();
    let uid = apply_job(&namespace, "films", None);
    let event = |name: &str, kind: &str, object: &str, uid: &str, minute: u32, count: u32| {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "type": "Warning", "reason": name,
            "message": "why", "count": count, "lastTimestamp": format!("2030-01-01T12:{minute:02}:00Z"),
            "involvedObject": {"kind": kind, "name": object, "uid": uid, "namespace": namespace.name()},
        })
    };
    let pod = format!("films-{}-train-1-0-abcde", &uid[..8]);
    for event in [
        event("second", "Pod", &pod, "p", 2, 3),
        event("first", "RecommenderJob", "films", &uid, 1, 1),
        event("another", "Pod", "films-00000000-train-1-0-abcde", "q", 3, 1),
    ] {
        namespace.apply(&event.to_string()).unwrap();
    }
    let told = teasel(&namespace, &["events", "films"]).good();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].contains("first") && lines[1].contains("second"), "{told}");
    assert!(lines[1].contains(&pod) && lines[1].contains("(x3)"), "{told}");
}

#[test]
fn a_missing_right_and_a_cluster_that_is_away_have_their_own_exit_codes() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_job(&namespace, "films", None);
    let token = namespace.kubectl(&["create", "token", "default"]).unwrap();
    let mut config = CLUSTER.json(&["config", "view", "--raw", "--minify", "--flatten"]).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let status = ["status", "films", "--kubeconfig", file.to_str().unwrap()];
    std::fs::write(&file, config.to_string()).unwrap();
    let refused = ends_with(teasel(&namespace, &status), 77);
    assert!(refused.contains("cannot get resource \"recommenderjobs\""), "{refused}");

    config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    std::fs::write(&file, config.to_string()).unwrap();
    let away = ends_with(teasel(&namespace, &status), 69);
    assert!(away.contains("can't be reached"), "{away}");

    std::fs::write(&file, "{}").unwrap();
    ends_with(teasel(&namespace, &status), 78);
}
