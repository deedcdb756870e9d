//! Freezing: the fields of a stage are resolved once, before its first attempt, and every later attempt is made from
//! what was resolved then. So neither an edit nor a new release of the operator changes a run that is under way.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use teasel_api::location::Location;
use teasel_api::resolved::{Data, Evaluation, Gate, Job, Model, Tenant, Training};
use teasel_api::spec::{PodTemplate, RecommenderJobSpec, Stage};
use teasel_api::task::TaskKind;

/// The resolved fields of a stage, or of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
#[allow(clippy::large_enum_variant)]
pub enum FrozenPart {
    /// What to learn from.
    #[serde(rename_all = "camelCase")]
    Data {
        /// Where datasets, runs and models are kept.
        storage: Location,
        /// The data.
        data: Data,
    },
    /// What to learn, and how.
    #[serde(rename_all = "camelCase")]
    Model {
        /// The model.
        model: Model,
        /// The training.
        training: Training,
    },
    /// What is measured of the model, and what it must reach.
    #[serde(rename_all = "camelCase")]
    Gates {
        /// What is measured. Left out where it is the default, as earlier releases did: the hash stays what it was.
        #[serde(default, skip_serializing_if = "Evaluation::is_default")]
        evaluation: Evaluation,
        /// The gates.
        gates: Vec<Gate>,
    },
    /// Whom to recommend to.
    #[serde(rename_all = "camelCase")]
    Tenant {
        /// The tenant.
        tenant: Tenant,
        /// Into how many parts its users are cut.
        shards: u32,
    },
}

impl FrozenPart {
    /// The fields of a stage of the whole job.
    pub fn of_stage(stage: Stage, job: &Job) -> Self {
        match stage {
            Stage::Data => FrozenPart::Data { storage: job.storage.clone(), data: job.data.clone() },
            Stage::Model => FrozenPart::Model { model: job.model.clone(), training: job.training.clone() },
            Stage::Gates => FrozenPart::Gates { evaluation: job.evaluation, gates: job.gates.clone() },
        }
    }

    /// The fields of a tenant.
    pub fn of_tenant(tenant: &Tenant, job: &Job) -> Self {
        FrozenPart::Tenant { tenant: tenant.clone(), shards: job.scoring.shards }
    }

    /// The stage, where it is one of the whole job.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            FrozenPart::Data { .. } => Some(Stage::Data),
            FrozenPart::Model { .. } => Some(Stage::Model),
            FrozenPart::Gates { .. } => Some(Stage::Gates),
            FrozenPart::Tenant { .. } => None,
        }
    }

    /// The tenant's name, where it is one tenant's.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            FrozenPart::Tenant { tenant, .. } => Some(&tenant.name),
            _ => None,
        }
    }

    /// The stage's name, as in object names and labels.
    pub fn label(&self) -> &'static str {
        match self {
            FrozenPart::Data { .. } => "data",
            FrozenPart::Model { .. } => "model",
            FrozenPart::Gates { .. } => "gates",
            FrozenPart::Tenant { .. } => "tenant",
        }
    }

    /// The fields as JSON.
    pub fn json(&self) -> String {
        // Types without maps of keys that aren't text always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Hash over the fields.
    pub fn hash(&self) -> String {
        digest(&self.json())
    }

    /// Puts these fields in the place of the job's.
    pub fn apply(self, job: &mut Job) {
        match self {
            FrozenPart::Data { storage, data } => {
                job.storage = storage;
                job.data = data;
            }
            FrozenPart::Model { model, training } => {
                job.model = model;
                job.training = training;
            }
            FrozenPart::Gates { evaluation, gates } => {
                job.evaluation = evaluation;
                job.gates = gates;
            }
            FrozenPart::Tenant { tenant, .. } => {
                if let Some(entry) = job.scoring.tenants.iter_mut().find(|entry| entry.name == tenant.name) {
                    *entry = tenant;
                }
            }
        }
    }
}

/// The stage whose fields a task of the whole job reads first.
pub fn stage_of(kind: TaskKind) -> Option<Stage> {
    match kind {
        TaskKind::Prepare => Some(Stage::Data),
        TaskKind::Train => Some(Stage::Model),
        TaskKind::Evaluate => Some(Stage::Gates),
        _ => None,
    }
}

/// The pod template of a task.
pub fn template_of(kind: TaskKind, spec: &RecommenderJobSpec) -> Option<&PodTemplate> {
    match kind {
        TaskKind::Prepare => spec.data.template.as_ref(),
        TaskKind::Score | TaskKind::Publish => spec.scoring.template.as_ref(),
        _ => spec.training.as_ref().and_then(|training| training.template.as_ref()),
    }
}

/// The field of that template.
pub fn template_field(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Prepare => "spec.data.template",
        TaskKind::Score | TaskKind::Publish => "spec.scoring.template",
        _ => "spec.training.template",
    }
}

/// Hash over everything whose change may mend a task that failed: its fields and its pods' template.
pub fn attempt_hash(part: Option<&FrozenPart>, template: Option<&PodTemplate>) -> String {
    let part = part.map(FrozenPart::json).unwrap_or_default();
    digest(&format!("{part}\n{}", serde_json::to_string(&template).unwrap_or_default()))
}

fn digest(text: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(16);
    digits
}
