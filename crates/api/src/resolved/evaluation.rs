//! What is measured of a model, and what it must reach.

use serde::{Deserialize, Serialize};

/// What is measured of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evaluation {
    /// Whether it is compared with baselines.
    pub baselines: bool,
}

impl Default for Evaluation {
    fn default() -> Self {
        Evaluation { baselines: true }
    }
}

impl Evaluation {
    /// Whether it is what a release that didn't know the field measured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a model must reach to be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Metric on the test users, such as `ndcg@100`.
    pub metric: String,
    /// The bound.
    pub bound: Bound,
}

/// A gate's bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
pub enum Bound {
    /// The value must be at least this.
    Minimum {
        /// The smallest value that passes.
        minimum: f64,
    },
    /// The ratio to the published model's value on the same users must not lie wholly below this.
    RelativeToPublished {
        /// The ratio.
        ratio: f64,
    },
    /// The same against a named run.
    RelativeTo {
        /// The ratio.
        ratio: f64,
        /// The run.
        run: String,
    },
}
