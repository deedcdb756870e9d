//! Somebody edits and deletes what the operator makes, and edits what may be edited of a live job, all the while: in the
//! end, left alone, the job is done, and the operator has gone on.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, Nodes, Options, OutsideOperator, wait_for};

use crate::crashes::{is_deep, seeded};
use crate::place::{condition, delete_films};
use crate::scale::{ends_well, job, light_workers};

/// Jobs that are meddled with, one after the other.
const FEW: usize = 1;
const DEEP: usize = 40;
/// How often each is, and how long its pods run.
const TIMES: usize = 25;
const PODS_RUN: &str = "3s";
const TENANTS: usize = 3;

/// Edits of a live job that are always allowed, though some have no effect at some times.
fn edit(random: &mut StdRng) -> Value {
    let tenants = random.random_range(1..=TENANTS);
    let choices = [
        json!({"suspend": true}),
        json!({"suspend": null}),
        json!({"publish": {"mode": "Manual"}}),
        json!({"publish": {"mode": "Manual", "approved": true}}),
        json!({"publish": null}),
        json!({"ttlSecondsAfterFinished": 3600}),
        json!({"activeDeadlineSeconds": 3600}),
        json!({"history": {"runs": random.random_range(1..4)}}),
        json!({"gates": [{"metric": "ndcg@100", "minimum": 0.1}]}),
        json!({"gates": null}),
        json!({"training": {"epochs": random.random_range(1..9)}}),
        json!({"training": {"schedulingTimeout": "5m", "failurePolicy": {"maxFailures": 4}}}),
        json!({"scoring": {"rollout": {"maxConcurrentTenants": random.random_range(1..4)}}}),
        json!({"scoring": {"parallelism": 1, "shards": random.random_range(1..3)}}),
        json!({"scoring": {"tenants": job("films", tenants)["spec"]["scoring"]["tenants"]}}),
    ];
    choices.choose(random).unwrap().clone()
}

/// What somebody may do to an object that isn't theirs.
fn patch_of(random: &mut StdRng, kind: &str) -> Value {
    match kind {
        "Job" => [
            json!({"spec": {"suspend": true}}),
            json!({"spec": {"suspend": false}}),
            json!({"spec": {"parallelism": 0}}),
            json!({"spec": {"activeDeadlineSeconds": 1}}),
            json!({"spec": {"ttlSecondsAfterFinished": 0}}),
            json!({"metadata": {"labels": {"teasel.dev/task": "collect"}}}),
            json!({"metadata": {"labels": null}}),
        ]
        .choose(random)
        .unwrap()
        .clone(),
        "Service" => json!({"spec": {"selector": {"teasel.dev/task": "nothing"}}}),
        "NetworkPolicy" => json!({"spec": {"podSelector": {"matchLabels": {"teasel.dev/task": "nothing"}}}}),
        // Without the Job controller's labels it would be nobody's.
        "Pod" => json!({"metadata": {"labels": {"teasel.dev/job-uid": null, "teasel.dev/task": null}}}),
        _ => json!({"metadata": {"labels": null}}),
    }
}

/// Does something, and says what, and whether it was let.
fn meddle(random: &mut StdRng, namespace: &Namespace<'_>) -> String {
    let tried = if random.random_bool(0.4) {
        let edit = json!({"spec": edit(random)});
        (edit.to_string(), namespace.patch("recjob", "films", &edit))
    } else {
        let objects = namespace.json(&["get", "jobs,pods,services,configmaps,networkpolicies"]).unwrap();
        let objects = objects["items"].as_array().unwrap().iter();
        let objects: Vec<&Value> =
            objects.filter(|object| object["metadata"]["ownerReferences"].is_array()).collect();
        let Some(object) = objects.choose(random) else { return "nothing is there yet".into() };
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        if random.random_bool(0.5) {
            (format!("delete {kind} {name}"), namespace.kubectl(&["delete", kind, name, "--wait=false"]))
        } else {
            let patch = patch_of(random, kind);
            (format!("{kind} {name}: {patch}"), namespace.patch(kind, name, &patch))
        }
    };
    match tried {
        (what, Ok(_)) => what,
        (what, Err(refused)) => format!("{what}, which was refused: {refused:#}"),
    }
}

fn slow(mut template: Value) -> Value {
    template["metadata"]["annotations"]["teasel.test/after"] = json!(PODS_RUN);
    template
}

fn slow_job() -> Value {
    let mut job = job("films", TENANTS);
    let spec = &mut job["spec"];
    spec["data"]["template"] = slow(ends_well("prepare"));
    spec["training"]["template"] = slow(ends_well("train"));
    spec["scoring"]["template"] = slow(ends_well("score"));
    job
}

fn live(random: &mut StdRng, namespace: &Namespace<'_>, operator: &mut OutsideOperator) {
    namespace.apply(&slow_job().to_string()).unwrap();
    for _ in 0..TIMES {
        println!("  {}", meddle(random, namespace));
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
    }
    // Whoever suspended it or wanted to be asked lets it go on.
    let resume = json!({"spec": {"suspend": null, "publish": null, "scoring": {"rollout": null}}});
    namespace.patch("recjob", "films", &resume).unwrap();
    wait_for("the job to be done", || {
        namespace.cluster().keep_leading(operator)?;
        let suspended = namespace.kubectl(&[
            "get",
            "jobs",
            "--output=jsonpath={.items[?(@.spec.suspend==true)].metadata.name}",
        ])?;
        for name in suspended.split_whitespace() {
            namespace.patch("job", name, &json!({"spec": {"suspend": false}}))?;
        }
        let job = namespace.json(&["get", "recjob", "films"])?;
        let status = &job["status"];
        // Taken away five times in a row with nothing done in between, it was given up.
        if status["phase"] == "Failed"
            && status["attempts"].as_array().unwrap().iter().any(|attempt| attempt["outcome"] == "Disrupted")
        {
            let retry = format!("teasel.dev/retry={}", jiff::Timestamp::now());
            namespace.kubectl(&["annotate", "recjob", "films", "--overwrite", &retry])?;
        }
        let published = condition(status, "Published").is_some_and(|published| published["status"] == "True");
        ensure!(published && status["phase"] == "Succeeded", "{status:#}");
        Ok(Some(()))
    })
    .unwrap();
    delete_films(namespace);
}

#[test]
fn whatever_somebody_does_to_a_live_job_and_its_objects_it_is_done_in_the_end() {
    let cluster = Cluster::start(&Options::with(Nodes::Fake(2))).unwrap();
    let mut values = light_workers();
    values["timing"] = json!({"backoff": "1s"});
    let mut operator = cluster.run_operator(&values).unwrap();
    let mut random = seeded();
    for _ in 0..if is_deep() { DEEP } else { FEW } {
        let namespace = cluster.namespace().unwrap();
        println!("a job");
        live(&mut random, &namespace, &mut operator);
        cluster.keep_leading(&mut operator).unwrap();
        let log = operator.log().unwrap();
        assert!(!log.contains("panicked"), "{log}");
    }
}
