//! The operator dies right before and right after its writes, and a job comes to the end that it comes to without.
//!
//! Pods are on fake nodes and end at once; API server, Job controller and garbage collector are real. After Sieve (Sun et
//! al., OSDI 2022), which found such faults in most of the controllers that it looked at.

use std::time::Duration;

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, Nodes, Options, OutsideOperator, Proxy, Side, wait_for};

use crate::scale::{job, light_workers};

const SOON: Duration = Duration::from_secs(60);
/// Set, it makes every write be tried on both sides, instead of a few on one.
const DEEP: &str = "TEASEL_TEST_DEEP";
/// How many writes are tried otherwise.
const FEW: usize = 6;

struct Scene {
    cluster: Cluster,
    operator: OutsideOperator,
    proxy: Proxy,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Cluster::start(&Options::with(Nodes::Fake(2))).unwrap();
        let proxy = Proxy::start(&cluster).await.unwrap();
        let operator = cluster.run_operator_through(&light_workers(), Some(&proxy.url())).unwrap();
        Scene { cluster, operator, proxy }
    }

    /// Lets a job live, with an operator that dies at one write if one is named, and returns what came of it and what was
    /// written.
    fn live(&mut self, death: Option<(usize, Side)>) -> (Value, Vec<String>) {
        let Scene { cluster, operator, proxy } = self;
        let namespace = cluster.namespace().unwrap();
        proxy.count_anew(death);
        namespace.apply(&job("films", 2).to_string()).unwrap();
        if death.is_some() {
            // How often the status is written differs by a write or two: the last one may not come.
            wait_for("the write, or the end", SOON, || {
                let job = namespace.json(&["get", "recjob", "films"])?;
                Ok((proxy.holds() || job["status"]["phase"] == "Succeeded").then_some(()))
            })
            .unwrap();
            // Nothing is answered to the one that dies; the next one is.
            operator.kill().unwrap();
            proxy.count_anew(None);
            cluster.replace_killed(operator).unwrap();
        }
        let end = wait_for("the end", SOON, || {
            let job = namespace.json(&["get", "recjob", "films"])?;
            ensure!(job["status"]["phase"] == "Succeeded", "{:#}", job["status"]);
            Ok(Some(job))
        });
        let end = what_came_of(&namespace, &end.unwrap());
        let writes = proxy.writes();
        namespace.kubectl(&["delete", "recjob", "films", "--timeout=30s"]).unwrap();
        wait_for("everything to be gone", SOON, || {
            let kinds = "recommenderjobs,jobs,pods,services,networkpolicies";
            let left = namespace.kubectl(&["get", kinds, "--output=name"])?;
            ensure!(left.is_empty(), "{left}");
            Ok(Some(()))
        })
        .unwrap();
        (end, writes)
    }
}

/// Status and objects, without what differs from one job to the next.
fn what_came_of(namespace: &Namespace<'_>, job: &Value) -> Value {
    let status = &job["status"];
    let of = |list: &str, fields: &[&str]| -> Vec<Value> {
        let elements = status[list].as_array().into_iter().flatten();
        elements.map(|element| fields.iter().map(|field| element[*field].clone()).collect()).collect()
    };
    let uid = &job["metadata"]["uid"].as_str().unwrap()[..8];
    let objects = namespace.kubectl(&["get", "jobs,configmaps,services,networkpolicies", "--output=name"]).unwrap();
    json!({
        "attempts": of("attempts", &["task", "tenant", "number", "outcome", "reason", "failures", "withoutProgress"]),
        "conditions": of("conditions", &["type", "status", "reason"]),
        "tenants": of("tenants", &["name", "phase", "outcome", "attempt"]),
        "counters": [status["restarts"], status["disruptions"], status["publishedTenants"]],
        "objects": objects.replace(uid, "UID").lines().collect::<Vec<_>>(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_operator_dies_a_job_comes_to_the_same_end() {
    let mut scene = Scene::set().await;
    let (expected, writes) = scene.live(None);
    assert!(writes.len() > 15, "{writes:#?}");
    let deaths: Vec<(usize, Side)> = match std::env::var_os(DEEP) {
        Some(_) => (0..writes.len()).flat_map(|write| [(write, Side::Before), (write, Side::After)]).collect(),
        None => {
            let seed: u64 = rand::rng().random();
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let numbers: Vec<usize> = (0..writes.len()).collect();
            let few = numbers.sample(&mut random, FEW).copied().collect::<Vec<_>>();
            few.into_iter().map(|write| (write, if random.random() { Side::Before } else { Side::After })).collect()
        }
    };
    for (write, side) in deaths {
        println!("{side:?} write {write} of {}, {}", writes.len(), writes[write]);
        let (end, _) = scene.live(Some((write, side)));
        assert_eq!(end, expected, "{side:?} write {write}, {}", writes[write]);
    }
}
