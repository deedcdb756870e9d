//! What the operator costs with many jobs, and with many tenants. Benchmarks: `make test` leaves them out.
//!
//! Pods run on fake nodes and end at once with the outcome that their template carries, so nothing but the operator,
//! the API server and the Job controller works.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, Nodes, Options, OutsideOperator, wait_within};

use crate::place::{job_with, smallest_spec};

/// A pod template whose pods end well at once.
pub(crate) fn ends_well(task: &str) -> Value {
    let outcome = json!({
        "task": task, "attempt": 1, "exitCode": "Done", "reason": "Succeeded", "message": "done",
        "dataset": "0123456789abcdef", "scoreHash": "0123456789abcdef", "published": true, "users": 1000,
    });
    json!({"metadata": {"annotations": {"teasel.test/exit": "0", "teasel.test/message": outcome.to_string()}}})
}

/// A job whose pods end well at once.
pub(crate) fn job(name: &str, tenants: usize) -> Value {
    let tenant =
        |number| json!({"name": format!("tenant-{number}"), "output": {"uri": format!("s3://lists/{number}")}});
    let mut spec = smallest_spec();
    spec["data"]["template"] = ends_well("prepare");
    spec["training"] = json!({"workers": 2, "template": ends_well("train")});
    spec["scoring"] =
        json!({"template": ends_well("score"), "tenants": (0..tenants).map(tenant).collect::<Vec<_>>()});
    job_with(name, spec)
}

/// Values of the chart for workers that need next to nothing.
pub(crate) fn light_workers() -> Value {
    let resources = json!({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}});
    json!({"worker": {"resources": {
        "prepare": resources, "train": resources, "score": resources, "other": resources,
    }}})
}

struct Bench {
    cluster: Cluster,
    operator: OutsideOperator,
}

impl Bench {
    fn start() -> Self {
        let cluster = Cluster::start(&Options::with(Nodes::Fake(20))).unwrap();
        let operator = cluster.run_operator(&light_workers()).unwrap();
        Bench { cluster, operator }
    }

    /// Applies jobs, waits for all to succeed, and prints what that took.
    fn run(&self, what: &str, jobs: &[Value]) {
        let namespace = self.cluster.namespace().unwrap();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": jobs});
        let (before, _) = self.operator.cost().unwrap();
        let started = Instant::now();
        namespace.apply(&list.to_string()).unwrap();
        wait_within("every job to succeed", Duration::from_secs(1800), || {
            let ended = succeeded(&namespace)?;
            ensure!(ended == jobs.len(), "{ended} of {}", jobs.len());
            Ok(Some(()))
        })
        .unwrap();
        let elapsed = started.elapsed().as_secs_f64();
        let (after, peak) = self.operator.cost().unwrap();
        let (cpu, peak) = ((after - before).as_secs_f64(), peak / 1024 / 1024);
        println!("{what}: {elapsed:.0} s, the operator {cpu:.1} s of processor time, peak {peak} MiB");
        let idle = Instant::now();
        std::thread::sleep(Duration::from_secs(30));
        let (later, _) = self.operator.cost().unwrap();
        let share = (later - after).as_secs_f64() / idle.elapsed().as_secs_f64();
        println!("{what}, when all is done: {:.1} % of a core", share * 100.0);
    }
}

fn succeeded(namespace: &Namespace<'_>) -> anyhow::Result<usize> {
    std::thread::sleep(Duration::from_secs(1));
    let phases = namespace.kubectl(&["get", "recommenderjobs", "--output=jsonpath={.items[*].status.phase}"])?;
    ensure!(!phases.contains("Failed"), "a job failed: {phases}");
    Ok(phases.split_whitespace().filter(|phase| *phase == "Succeeded").count())
}

#[test]
#[ignore = "a benchmark"]
fn three_hundred_jobs() {
    let jobs: Vec<Value> = (0..300).map(|number| job(&format!("job-{number}"), 2)).collect();
    Bench::start().run("300 jobs with 2 tenants each", &jobs);
}

#[test]
#[ignore = "a benchmark"]
fn five_hundred_tenants() {
    let mut job = job("films", 500);
    job["spec"]["scoring"]["rollout"] = json!({"maxConcurrentTenants": 50});
    Bench::start().run("a job with 500 tenants, 50 at once", &[job]);
}
