//! Where tests of jobs take place.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use teasel_storage::output::current;
use teasel_tests::cluster::{Cluster, Namespace, ObjectStore, wait_for};
use teasel_tests::lists::Row;
use teasel_tests::project::Project;

use crate::jobs::{published, weights};

/// What comes of a job: the model's weights, and each tenant's lists.
pub(crate) struct Made {
    pub(crate) weights: Vec<u8>,
    pub(crate) lists: Vec<BTreeMap<String, Vec<Row>>>,
}

/// A cluster with the operator, a store with generated data, and a namespace with the secrets for both.
pub(crate) struct Place<'a> {
    pub(crate) store: ObjectStore,
    pub(crate) namespace: Namespace<'a>,
}

impl<'a> Place<'a> {
    pub(crate) async fn make(cluster: &'a Cluster) -> Self {
        cluster.install_operator().unwrap();
        let store = ObjectStore::start(cluster, &["city", "town"]).await.unwrap();
        let project = Project::generate(200, 60, 4000);
        let raw = store.open("raw").unwrap();
        for file in ["interactions.csv", "items.csv"] {
            raw.put(file, std::fs::read(project.path(file)).unwrap().into()).await.unwrap();
        }
        let namespace = cluster.namespace().unwrap();
        store.make_secrets(&namespace).unwrap();
        Place { store, namespace }
    }

    /// The spec of a quick job with one tenant.
    pub(crate) fn spec(&self) -> Value {
        json!({
            "storage": self.store.place("films", "films"),
            "data": {
                "interactions": {
                    "location": self.store.place("raw/interactions.csv", "films"),
                    "columns": {"user": "user_id", "item": "item_id", "timestamp": "timestamp"},
                },
            },
            "model": {"facets": 3, "dimensions": 8},
            "training": {"workers": 2, "epochs": 3, "batchSize": 50},
            "scoring": {
                "topK": 5,
                "tenants": [{
                    "name": "city",
                    "output": self.store.place("city/lists", "city"),
                    "storage": self.store.secret("city"),
                }],
            },
        })
    }

    /// Applies that job, as `change` leaves its spec.
    pub(crate) fn apply(&self, change: impl FnOnce(&mut Value)) {
        let mut spec = self.spec();
        change(&mut spec);
        self.namespace.apply(&job_with("films", spec).to_string()).unwrap();
    }

    pub(crate) fn patch(&self, patch: Value) -> Result<String> {
        self.namespace.patch("recjob", "films", &patch)
    }

    /// Runs `kubectl teasel` in the namespace; it must end well.
    pub(crate) fn teasel(&self, arguments: &[&str]) -> String {
        // Of those that wait for an answer.
        let waits = ["retry", "retrain", "publish", "rollback", "release"].contains(&arguments[0]);
        let patience: &[&str] = if waits { &["--timeout=10m"] } else { &[] };
        let arguments = [arguments, patience, &["--namespace", self.namespace.name()]].concat();
        self.namespace.cluster().plugin(&arguments).unwrap().good()
    }

    pub(crate) fn status(&self) -> Result<Value> {
        Ok(self.namespace.json(&["get", "recjob", "films"])?["status"].clone())
    }

    /// Waits until the status is as `condition` says, and returns it.
    pub(crate) fn wait(&self, description: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(description, || {
            let status = self.status()?;
            anyhow::ensure!(condition(&status), "{status:#}");
            Ok(Some(status))
        });
        found.unwrap()
    }

    pub(crate) fn wait_for_condition(&self, kind: &str, status: &str, reason: &str) -> Value {
        self.wait(&format!("{kind}={status} by {reason}"), |found| {
            condition(found, kind).is_some_and(|found| found["status"] == status && found["reason"] == reason)
        })
    }

    pub(crate) fn complete(&self) -> Value {
        self.wait_for_condition("Complete", "True", "Completed")
    }

    /// Names of pods that haven't ended.
    fn pods(&self) -> Vec<String> {
        // One whose containers have ended may be listed for a moment longer.
        let open = "--field-selector=status.phase!=Succeeded,status.phase!=Failed";
        let pods = self.namespace.kubectl(&["get", "pods", "--output=name", open]);
        pods.unwrap().lines().map(str::to_owned).collect()
    }

    /// Waits until no pod runs. The Job controller may make one a moment after its Job was deleted, which the garbage
    /// collector then takes away.
    pub(crate) fn wait_until_no_pods(&self) {
        wait_for("pods to end", || {
            let pods = self.pods();
            anyhow::ensure!(pods.is_empty(), "{pods:?}");
            Ok(Some(()))
        })
        .unwrap();
    }

    /// Deletes the job, and waits until nothing is left of it.
    pub(crate) fn delete(&self) {
        delete_films(&self.namespace);
    }

    /// What came of a job with this status.
    pub(crate) async fn made(&self, status: &Value) -> Made {
        let run = status["run"].as_str().unwrap();
        let weights = weights(&self.store.open("films").unwrap(), run).await;
        let mut lists = Vec::new();
        for tenant in status["tenants"].as_array().unwrap() {
            let tenant = tenant["name"].as_str().unwrap();
            let published = published(&self.store.open(&format!("{tenant}/lists")).unwrap()).await;
            assert_eq!(published.run, run, "{tenant}");
            assert!(!published.users.is_empty(), "{tenant}");
            lists.push(published.users);
        }
        Made { weights, lists }
    }

    /// Checks that a job, which is done, came to what the same job comes to undisturbed.
    pub(crate) async fn check_against_undisturbed(&self, done: &Value) {
        let made = self.made(done).await;
        let spec = self.namespace.json(&["get", "recjob", "films"]).unwrap()["spec"].clone();
        self.delete();
        self.namespace.apply(&job_with("films", spec).to_string()).unwrap();
        let again = self.complete();
        assert!(again["restarts"].is_null() && again["disruptions"].is_null(), "{again}");
        let undisturbed = self.made(&again).await;
        assert!(made.weights == undisturbed.weights, "the model's bits differ");
        assert!(made.lists == undisturbed.lists, "the lists differ");
    }

    pub(crate) async fn published_run(&self) -> Option<String> {
        let output = self.store.open("city/lists").unwrap();
        current(&output).await.unwrap().map(|pointer| pointer.run)
    }
}

/// Deletes the job `films`, and waits until nothing is left of it.
pub(crate) fn delete_films(namespace: &Namespace<'_>) {
    namespace.kubectl(&["delete", "recjob", "films", "--timeout=300s"]).unwrap();
    wait_for("everything to be gone", || {
        let kinds = "jobs,pods,services,configmaps,networkpolicies";
        let left = namespace.kubectl(&["get", kinds, "--output=name"])?;
        anyhow::ensure!(!left.contains("films"), "{left}");
        Ok(Some(()))
    })
    .unwrap();
}

pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub(crate) fn attempts<'a>(status: &'a Value, task: &str) -> Vec<&'a Value> {
    status["attempts"].as_array().into_iter().flatten().filter(|attempt| attempt["task"] == task).collect()
}

/// A spec that is as small as possible. Its places lead nowhere.
pub(crate) fn smallest_spec() -> Value {
    json!({
        "storage": {"uri": "s3://films/teasel"},
        "data": {
            "interactions": {
                "location": {"uri": "s3://films/interactions.csv"},
                "columns": {"user": "user_id", "item": "item_id"},
            },
        },
        "scoring": {"tenants": [{"name": "city", "output": {"uri": "s3://films/lists"}}]},
    })
}

/// A job of this name, with this spec.
pub(crate) fn job_with(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": {"name": name}, "spec": spec})
}
