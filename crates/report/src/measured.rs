//! `metrics.json`, as the report reads it. What a release doesn't measure is unset.

use std::collections::BTreeMap;

use serde::Deserialize;
use teasel_api::progress::EpochRecord;

/// Everything that was measured of a run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The run.
    pub run: String,
    /// Fingerprint of the dataset.
    pub dataset: String,
    /// The epoch whose model was measured.
    pub best_epoch: u32,
    /// How many test users it was measured on.
    pub test_users: usize,
    /// How many of them the baselines' lists were made for, where that is told.
    pub compared_users: Option<usize>,
    /// The model's lists.
    #[serde(flatten)]
    pub lists: Lists,
    /// What it was compared with, by name.
    #[serde(default)]
    pub baselines: BTreeMap<String, Baseline>,
    /// The model's facets.
    pub facets: Facets,
    /// The test users as if they were cold.
    pub cold: Option<Group>,
    /// Items that nobody trains with.
    pub cold_items: Option<ColdItems>,
    /// Means over the users of lists that scoring's compression makes, by name.
    pub compressed: Option<BTreeMap<String, f64>>,
    /// Each tenant's test users.
    #[serde(default)]
    pub tenants: BTreeMap<String, Group>,
    /// What the gates decided.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The epochs.
    #[serde(default)]
    pub history: Vec<EpochRecord>,
}

/// How items that nobody trains with are recommended to test users who have some.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColdItems {
    /// How many items.
    pub items: usize,
    /// How many users.
    pub users: usize,
    /// In lists of all items, by metric.
    pub among_all: BTreeMap<String, Found>,
    /// In lists of these items alone, by metric.
    pub among_cold: BTreeMap<String, Found>,
    /// Share of the first places of all test users' lists that go to them.
    pub shown: f64,
}

/// A mean over users, and what lists in random order come to.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Found {
    pub value: f64,
    pub chance: f64,
}

/// Some of the test users.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Group {
    /// How many.
    pub users: usize,
    /// Items of the history that were given at most.
    pub items: Option<usize>,
    /// Their lists.
    #[serde(flatten)]
    pub lists: Lists,
}

/// What lists for the test users come to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lists {
    /// Means over the users, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Length of the lists' heads that the following look at.
    pub length: usize,
    /// Share of the items that is in somebody's list.
    pub coverage: f64,
    /// Mean self-information in bits.
    pub novelty: f64,
    /// How much more popular than the histories.
    pub popularity_bias: f64,
    /// Divergence of the lists' categories from the histories', in nats.
    pub calibration: Option<f64>,
}

/// A baseline.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)]
pub enum Baseline {
    /// It wasn't measured.
    Skipped {
        /// Why, in a sentence.
        skipped: String,
    },
    /// It was.
    #[serde(rename_all = "camelCase")]
    Measured {
        /// Its lists.
        #[serde(flatten)]
        lists: Lists,
        /// The model's means over its own, by metric.
        model_ratio: BTreeMap<String, Interval>,
    },
}

/// A ratio and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Interval {
    /// The ratio.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What was measured of facets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Facets {
    /// The model's.
    pub conditions: Conditions,
    /// Those of an untrained model of the same shape.
    pub untrained: Conditions,
    /// What lists lose where facets are shuffled over the items.
    pub shuffled: Shuffled,
}

/// The three conditions and the agreement with categories.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// On how many people.
    pub people: usize,
    /// How many facets the items use.
    #[serde(default)]
    pub effective_facets: f64,
    /// Unset with fewer than two facets.
    pub independence: Option<Independence>,
    /// Unset without categories.
    pub completeness: Option<Completeness>,
    /// Unset with fewer than two facets.
    pub consistency: Option<Consistency>,
    /// Unset without categories.
    pub agreement: Option<Agreement>,
    /// Unset where no facets are known beforehand.
    pub recovery: Option<Recovery>,
}

/// How far facets that are known beforehand were found again.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Recovery {
    /// For items.
    pub agreement: Agreement,
    /// For people.
    pub people: Option<Completeness>,
}

/// How little facets repeat each other.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Independence {
    /// How alike facets are whatever their dimensions stand for, where that is told.
    pub likeness: Option<f64>,
    /// What that comes to by chance.
    pub likeness_floor: Option<f64>,
    /// The correlation beyond the floor.
    pub excess: f64,
    /// Mean absolute correlation.
    pub correlation: f64,
    /// What chance alone comes to.
    pub floor: f64,
}

/// How much each category is told by one facet alone.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    /// The measure.
    pub completeness: f64,
    /// How much is told at all.
    pub r2: f64,
    /// How much each facet tells of one category alone.
    #[serde(default)]
    pub disentanglement: f64,
    /// How much is told where facets and categories are of different people.
    #[serde(default)]
    pub chance_r2: f64,
}

/// How alike two halves of one history are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Consistency {
    /// The measure: `same` over `different`.
    pub ratio: f64,
    /// Divergence between one person's halves, in bits.
    pub same: f64,
    /// Divergence between different people's, in bits.
    pub different: f64,
    /// How often one's own half is the nearer one.
    pub identification: f64,
}

/// How facets agree with categories.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// The measure.
    pub adjusted_mutual_information: f64,
    /// Lower end of chance.
    pub chance_low: f64,
    /// Upper end of chance.
    pub chance_high: f64,
    /// Mean of the items' largest shares.
    pub largest_share: f64,
    /// Facets in use.
    pub effective_facets: f64,
}

/// What lists lose where facets are shuffled over the items.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Shuffled {
    /// The metric.
    pub metric: String,
    /// Its value with the items' own facets.
    pub own: f64,
    /// Its value with those of others.
    pub shuffled: f64,
    /// Share that is lost.
    pub lost: f64,
}

/// What a gate decided.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Gate {
    /// Whether the model passed.
    pub passed: bool,
    /// Both numbers, in a sentence.
    pub message: String,
}
