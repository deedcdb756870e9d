//! The operator, installed as people install it.

use std::sync::PoisonError;

use anyhow::Result;
use serde_json::{Value, json};
use teasel_storage::testing::workspace;

use super::{Cluster, Image};
use crate::project::program;

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "teasel-system";

/// A release of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The one that is installed unless another is asked for.
    First,
    /// The same programs in other images, with other templates for pods.
    Second,
}

impl Release {
    /// Name of a program's image.
    pub fn image(self, program: &str) -> String {
        let tag = match self {
            Release::First => 1,
            Release::Second => 2,
        };
        format!("teasel.test/{program}:{tag}")
    }
}

/// How the operator is installed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Installation {
    /// Where it acts; an empty list means everywhere.
    namespaces: Vec<String>,
    release: Release,
}

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
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        self.install(Installation { namespaces, release: Release::First })
    }

    /// Replaces the operator by another release, of which all that it makes differs: the workers' image and the files and
    /// rights that pods get. Whoever asks for that must have the cluster alone, and go back to the first one.
    ///
    /// # Errors
    /// As [`Cluster::install_operator`].
    pub fn upgrade_operator(&self, release: Release) -> Result<()> {
        self.install(Installation { namespaces: Vec::new(), release })
    }

    /// Adds a release's images to all real nodes, which takes a while.
    ///
    /// # Errors
    /// Where they can't be made.
    pub fn provide_release(&self, release: Release) -> Result<()> {
        let programs = ["teasel-operator", "teasel-worker"];
        programs.iter().try_for_each(|name| self.provide(&Image::of_program(&release.image(name), &program(name))))
    }

    fn install(&self, wanted: Installation) -> Result<()> {
        let mut installed = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        if installed.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.provide_release(wanted.release)?;
        let file = self.caches.path().join("values.json");
        std::fs::write(&file, wanted.values().to_string())?;
        let (chart, file) = (workspace()?.join("charts/teasel").display().to_string(), file.display().to_string());
        // Another test may have applied the custom resources by hand.
        let adopted = "--take-ownership";
        let namespace = ["--namespace", OPERATOR_NAMESPACE, "--create-namespace"];
        let waited = ["--wait", "--timeout", "600s"];
        let arguments =
            [&["upgrade", "--install", "teasel", &chart, "--values", &file, adopted], &namespace[..], &waited[..]];
        self.helm(&arguments.concat())?;
        *installed = Some(wanted);
        Ok(())
    }
}

impl Installation {
    /// The chart's values.
    fn values(&self) -> Value {
        let image = |name: &str| {
            let image = self.release.image(name);
            let (repository, tag) = image.split_once(':').unwrap_or((&image, ""));
            json!({"repository": repository, "tag": tag, "pullPolicy": "Never"})
        };
        let (memory, scratch) = match self.release {
            Release::First => ("64Mi", "20Gi"),
            Release::Second => ("65Mi", "10Gi"),
        };
        let resources = json!({"requests": {"cpu": "50m", "memory": memory}, "limits": {"memory": "1Gi"}});
        json!({
            "image": image("teasel-operator"),
            "namespaces": self.namespaces,
            "timing": {"backoff": "1s", "progress": "2s"},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "worker": {
                "image": image("teasel-worker"),
                "resources": {"prepare": resources, "train": resources, "score": resources, "other": resources},
                "scratch": {"sizeLimit": scratch},
            },
        })
    }
}
