//! The job as a whole.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataSpec, EvaluationSpec, GateSpec, ModelSpec, RecommenderJobStatus, ScoringSpec, TrainingSpec};
use crate::location::Location;

/// The rule that fields of the spec stay as they are once their stage is frozen. Pod templates aren't among them: how a
/// worker is run doesn't change what it does.
///
/// `has` and not CEL's optionals: through these the API server loses sight of how large a field can be, and refuses the
/// rule as too costly.
fn frozen(stage: &str, fields: &str) -> String {
    let unchanged: Vec<String> = fields.split(' ').map(unchanged).collect();
    format!(
        "!has(oldSelf.status) || !has(oldSelf.status.frozen) || !oldSelf.status.frozen.exists(f, f.stage == '{stage}') || ({})",
        unchanged.join(" && ")
    )
}

/// That a field, which may be unset like all above it, is as it was.
fn unchanged(field: &str) -> String {
    let is_set = |of: &str| {
        let ends = field.match_indices('.').map(|(end, _)| end).chain([field.len()]);
        let above: Vec<String> = ends.map(|end| format!("has({of}.spec.{})", &field[..end])).collect();
        format!("({})", above.join(" && "))
    };
    let (is, was) = (is_set("self"), is_set("oldSelf"));
    format!("({is} ? {was} && self.spec.{field} == oldSelf.spec.{field} : !{was})")
}

/// Trains one recommender and publishes its recommendations for each tenant.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "teasel.dev",
    version = "v1alpha1",
    kind = "RecommenderJob",
    plural = "recommenderjobs",
    shortname = "recjob",
    category = "teasel",
    namespaced,
    status = "RecommenderJobStatus",
    derive = "PartialEq",
    doc = "Trains one recommender and publishes its recommendations for each tenant.",
    validation = Rule::new("self.metadata.name.size() <= 40").message("the name of a job has at most 40 characters"),
    validation = Rule::new(frozen("Data", "storage data.interactions data.items data.minimumInteractions data.split"))
        .message("data and storage, but for data.template, can't be changed once work with them has begun: make a new job, which may start from this run's parameters with training.resumeFrom"),
    validation = Rule::new(frozen("Model", "model training.workers training.processesPerWorker training.device training.epochs training.batchSize training.learningRate training.seed training.earlyStopping training.checkpoint training.resumeFrom training.schedulingTimeout training.failurePolicy"))
        .message("model and training, but for training.template, can't be changed once training has begun: make a new job, which may start from this run's parameters with training.resumeFrom"),
    validation = Rule::new(frozen("Gates", "gates evaluation"))
        .message("gates and evaluation can't be changed while they are being decided, or once they have been passed: wait for the decision and change them if it is GateNotMet, else make a new job"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.workers.ready"),
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".status.progress.epoch"),
    printcolumn(name = "Progress", type_ = "integer", json_path = ".status.progress.percent", description = "Per cent of the training steps"),
    printcolumn(name = "Restarts", type_ = "integer", json_path = ".status.restarts.failures"),
    printcolumn(name = "Checkpoint", type_ = "date", json_path = ".status.checkpoint.time", description = "Age of the newest checkpoint"),
    printcolumn(name = "NDCG", type_ = "number", json_path = r#".status.metrics[?(@.name=="ndcg@100")].value"#, priority = 1),
    printcolumn(name = "Tenants", type_ = "integer", json_path = ".status.publishedTenants", description = "Tenants that are published", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RecommenderJobSpec {
    /// suspend stops the job after a checkpoint and frees everything that it holds; unsetting it goes on from there.
    /// Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// storage is where datasets, checkpoints, models and reports are kept.
    pub storage: Location,
    /// data says what to learn from.
    pub data: DataSpec,
    /// model says what to learn. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
    /// training says how to learn it. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingSpec>,
    /// evaluation says what is measured of a model. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationSpec>,
    /// gates say what a model must reach on the test users before anything is published. Unset means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub gates: Option<Vec<GateSpec>>,
    /// scoring says whom to recommend to.
    pub scoring: ScoringSpec,
    /// publish says when lists become visible. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishSpec>,
    /// activeDeadlineSeconds fails the job when it was active for longer; time in a queue or suspended doesn't count.
    /// Unset means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2147483647))]
    pub active_deadline_seconds: Option<i64>,
    /// ttlSecondsAfterFinished deletes the job, and with it everything it owns in the cluster, so long after it
    /// ended. Unset means that it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// history says what storage keeps of former runs of the same owner. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySpec>,
}

/// When lists become visible.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishSpec {
    /// mode is Automatic (each tenant as soon as its lists are whole) or Manual (when somebody approves). Defaults
    /// to Automatic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PublishMode>,
    /// approved publishes a job whose mode is Manual. Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<bool>,
}

/// Who decides to publish.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PublishMode {
    Automatic,
    Manual,
}

/// What storage keeps of former runs of the same owner. What is unfinished, published or held always stays.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// runs is how many runs are kept. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub runs: Option<u32>,
    /// days is for how many days a run is kept. Defaults to 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub days: Option<u32>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kube::CustomResourceExt;

    use super::*;

    #[test]
    fn every_field_of_a_frozen_stage_is_in_its_rule_but_for_the_template() {
        let crd = serde_json::to_value(RecommenderJob::crd()).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let rules = schema["x-kubernetes-validations"].as_array().unwrap();
        for (stage, section) in [("Data", "data"), ("Model", "training")] {
            let rules = rules.iter().filter_map(|rule| rule["rule"].as_str());
            let rule = rules.clone().find(|rule| rule.contains(&format!("'{stage}'"))).unwrap();
            let fields = schema["properties"]["spec"]["properties"][section]["properties"].as_object().unwrap();
            for field in fields.keys() {
                let named = rule.contains(&format!("self.spec.{section}.{field} == "));
                assert_eq!(named, field != "template", "{section}.{field}: {rule}");
            }
        }
    }
}
