//! The spec with every default filled in.
//!
//! Workers only ever see these types. They are recorded in `runs/<run>/run.json`, so a new release's defaults never
//! change a run that exists.

mod content;
mod data;
mod evaluation;
mod model;
mod places;
mod scoring;
mod training;

pub use content::*;
pub use data::*;
pub use evaluation::*;
pub use model::*;
pub use places::Place;
pub use scoring::*;
pub use training::*;

use serde::{Deserialize, Serialize};

use crate::location::Location;

/// A whole job, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Name of the job.
    pub name: String,
    /// Namespace of the job; `local` outside a cluster.
    pub namespace: String,
    /// Where datasets, runs and models are kept.
    pub storage: Location,
    /// What to learn from.
    pub data: Data,
    /// What to learn.
    pub model: Model,
    /// How to learn it.
    pub training: Training,
    /// What is measured of a model. Left out where it is the default, as earlier releases did.
    #[serde(default, skip_serializing_if = "Evaluation::is_default")]
    pub evaluation: Evaluation,
    /// What a model must reach to be published.
    pub gates: Vec<Gate>,
    /// Whom to recommend to.
    pub scoring: Scoring,
    /// When to publish.
    pub publish: PublishMode,
    /// What to keep of former runs.
    pub history: History,
}

/// When recommendations are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublishMode {
    /// As soon as a tenant's lists are whole.
    Automatic,
    /// When somebody says so.
    Manual,
}

/// What storage keeps of former runs of the same owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// How many runs are kept.
    pub runs: u32,
    /// For how many days a run is kept.
    pub days: u32,
}
