//! What a [`MeasureTask`](crate::task::MeasureTask) finds: models beside each other, on the same test users.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Models beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Users that all were measured on.
    pub users: usize,
    /// Test users of the first run: more than `users` where other runs, of other data, don't have all of them among
    /// theirs.
    pub test_users: usize,
    /// What was measured. The first is what the others are compared with.
    pub rows: Vec<Compared>,
}

/// One model, given people's histories with so much noise in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// The run.
    pub run: String,
    /// Random items that were added to each history, as a share of its length.
    pub noise: f64,
    /// What it came to, by metric.
    pub metrics: BTreeMap<String, ComparedMetric>,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedMetric {
    /// Mean over the users.
    pub mean: Interval,
    /// Mean of the differences from the first row, user by user; unset for that row itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Interval>,
}

/// A mean and the 95 % interval of the bootstrap over users.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
