//! The operator, installed as people install it.

use std::sync::PoisonError;

use anyhow::Result;
use serde_json::json;

use super::command::root;
use super::{Cluster, Image};
use crate::project::program;

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "teasel-system";

impl Cluster {
    /// Installs the chart by helm, with images of this workspace's programs, unless it is installed already. Its
    /// waiting times are short.
    ///
    /// # Errors
    /// Where the images can't be made, or helm or the operator doesn't come up.
    pub fn install_operator(&self) -> Result<()> {
        self.install_operator_for(&[])
    }

    /// The same, for some namespaces only, or for all where none is named. Whoever asks for another choice than before
    /// must have the cluster alone.
    ///
    /// # Errors
    /// As [`Cluster::install_operator`].
    pub fn install_operator_for(&self, namespaces: &[&str]) -> Result<()> {
        let mut installed = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        if installed.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let images = ["teasel-operator", "teasel-worker"];
        for name in images {
            self.provide(&Image::of_program(&format!("teasel.test/{name}:1"), &program(name)))?;
        }
        let image =
            |name: &str| json!({"repository": format!("teasel.test/{name}"), "tag": "1", "pullPolicy": "Never"});
        let resources = json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}});
        let values = json!({
            "image": image("teasel-operator"),
            "namespaces": wanted,
            "timing": {"backoff": "1s", "progress": "2s"},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "worker": {
                "image": image("teasel-worker"),
                "resources": {"prepare": resources, "train": resources, "score": resources, "other": resources},
            },
        });
        let file = self.caches.path().join("values.json");
        std::fs::write(&file, values.to_string())?;
        let (chart, file) = (root().join("charts/teasel").display().to_string(), file.display().to_string());
        // Another test may have applied the custom resources by hand.
        let adopted = "--take-ownership";
        let namespace = ["--namespace", OPERATOR_NAMESPACE, "--create-namespace"];
        let waited = ["--wait", "--timeout", "90s"];
        let arguments =
            [&["upgrade", "--install", "teasel", &chart, "--values", &file, adopted], &namespace[..], &waited[..]];
        self.helm(&arguments.concat())?;
        *installed = Some(wanted);
        Ok(())
    }
}
