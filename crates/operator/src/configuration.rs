//! The operator's configuration file, which the chart writes.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use serde::Deserialize;

/// An error of the configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file says something wrong.
    #[error("{}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// What the operator is told at its start.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// Image of the workers.
    pub worker_image: String,
    /// When to pull it. Unset means Kubernetes' default.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// Names of pull secrets, in the namespaces of jobs.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// Secrets that pod templates may name. A job's own never can: a tenant's would leak through somebody's `envFrom`.
    #[serde(default)]
    pub allowed_secrets: Vec<String>,
    /// Namespaces to look after; empty means all.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Reconciles at once. Defaults to 8.
    #[serde(default = "default_concurrency")]
    pub concurrency: u16,
    /// Resources of worker containers where a job's template says nothing.
    #[serde(default)]
    pub defaults: TaskDefaults,
    /// The scratch volume of worker pods.
    #[serde(default)]
    pub scratch: Scratch,
    /// NetworkPolicies of worker pods.
    #[serde(default)]
    pub network_policy: NetworkPolicySettings,
    /// Waiting times.
    #[serde(default)]
    pub timing: Timing,
}

fn default_concurrency() -> u16 {
    8
}

/// Resources of worker containers, by task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TaskDefaults {
    /// Of prepare.
    pub prepare: ResourceRequirements,
    /// Of train.
    pub train: ResourceRequirements,
    /// Of score.
    pub score: ResourceRequirements,
    /// Of all others.
    pub other: ResourceRequirements,
}

/// The scratch volume of worker pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scratch {
    /// Its size limit. Unset means none.
    pub size_limit: Option<String>,
}

/// NetworkPolicies of worker pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkPolicySettings {
    /// Whether each job gets one.
    pub enabled: bool,
    /// Where workers may connect beside DNS and the pods of their own job: object stores.
    pub egress: Vec<NetworkPolicyEgressRule>,
    /// Who may read workers' telemetry beside the operator.
    pub monitoring: Vec<NetworkPolicyPeer>,
    /// Who answers DNS. Empty means anybody on port 53.
    pub dns: Vec<NetworkPolicyPeer>,
    /// The operator's own pods.
    pub operator: Option<NetworkPolicyPeer>,
}

/// Waiting times.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timing {
    /// Pause before a second attempt that made no progress; it doubles with each.
    pub backoff: SignedDuration,
    /// The longest such pause.
    pub longest_backoff: SignedDuration,
    /// How long missing input, refused credentials and pods that can't start are tried again.
    pub retry_window: SignedDuration,
    /// How long after its grace time a pod may still be there before its node counts as away.
    pub gone_grace: SignedDuration,
    /// Pause between two looks at a training worker's progress.
    pub progress: SignedDuration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            backoff: SignedDuration::from_secs(10),
            longest_backoff: SignedDuration::from_secs(300),
            retry_window: SignedDuration::from_mins(30),
            gone_grace: SignedDuration::from_secs(10),
            progress: SignedDuration::from_secs(5),
        }
    }
}

impl Configuration {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Where it can't be read, or says something wrong; the message names the field.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigurationError::Read { path: path.into(), source })?;
        serde_saphyr::from_str(&text)
            .map_err(|error| ConfigurationError::Wrong { path: path.into(), message: error.to_string() })
    }
}
