//! Namespaces, one for each test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Cluster, wait_for};

/// A namespace of its own, which is deleted in the end.
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Namespace<'a> {
    pub(super) fn make(cluster: &'a Cluster) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        // Others may test on a given cluster at the same time.
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("teasel-test-{time:x}-{:x}-{count}", std::process::id());
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let manifest = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels},
        });
        cluster.apply(&manifest.to_string())?;
        let namespace = Namespace { cluster, name };
        // Pods are refused before it has one.
        wait_for("the namespace's account", || namespace.kubectl(&["get", "serviceaccount", "default"]).map(Some))?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cluster.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    fn with_name<'b>(&'b self, arguments: &[&'b str]) -> Vec<&'b str> {
        [&["--namespace", &self.name], arguments].concat()
    }

    /// Runs kubectl in the namespace; see [`Cluster::kubectl`].
    ///
    /// # Errors
    /// Where it fails, with what it says on standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(&self.with_name(arguments))
    }

    /// Runs `kubectl ... --output json` in the namespace.
    ///
    /// # Errors
    /// Where it fails.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.cluster.json(&self.with_name(arguments))
    }

    /// Applies manifests in the namespace; see [`Cluster::apply`].
    ///
    /// # Errors
    /// Where one of them is refused.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        let arguments = self.with_name(&["apply", "--server-side", "--filename", "-"]);
        self.cluster.kubectl_with(&arguments, manifests)
    }

    /// Merges a patch into an object of the namespace.
    ///
    /// # Errors
    /// Where it isn't there, or the API server refuses the patch.
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<String> {
        self.kubectl(&["patch", kind, name, "--type=merge", "--patch", &patch.to_string()])
    }

    /// Runs helm in the namespace; see [`Cluster::helm`].
    ///
    /// # Errors
    /// Where it fails, with what it says on standard error.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.helm(&self.with_name(arguments))
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let newest = "--sort-by=.metadata.creationTimestamp";
            for kind in ["recommenderjobs", "jobs", "pods", "events"] {
                let said = self.kubectl(&["get", kind, "--output=wide", newest]);
                eprintln!("--- {kind} of {}\n{}", self.name, said.unwrap_or_else(|error| error.to_string()));
            }
        }
        // The cluster may be gone.
        let _ = self.cluster.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}
