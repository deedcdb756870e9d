//! What is measured of the result, and what it must reach.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is measured of a model.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationSpec {
    /// baselines compares the model with popularity and, where the items aren't too many for it, EASE, on the same test
    /// users. Defaults to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<bool>,
}

/// What a model must reach on the test users.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.minimum) ? 1 : 0) + (has(self.relativeToPublished) ? 1 : 0) + (has(self.relativeTo) ? 1 : 0) == 1")
        .message("a gate has exactly one of minimum, relativeToPublished and relativeTo")
)]
pub struct GateSpec {
    /// metric is ndcg@K, recall@K or map@K.
    pub metric: String,
    /// minimum is the smallest value that passes. A gate has exactly one of minimum, relativeToPublished and
    /// relativeTo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub minimum: Option<f64>,
    /// relativeToPublished bounds the ratio to the published model's value on the same users: the gate fails if the
    /// whole 95 % interval lies below. With nothing published it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub relative_to_published: Option<f64>,
    /// relativeTo is the same against a named run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeToSpec>,
}

/// A bound against a named run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelativeToSpec {
    /// run is the name of the run.
    #[schemars(length(min = 1))]
    pub run: String,
    /// ratio bounds the ratio to that run's value. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub ratio: Option<f64>,
}
