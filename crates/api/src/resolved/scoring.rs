//! Whom to recommend to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::location::Location;

/// Batch scoring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scoring {
    /// Shards of each tenant.
    pub shards: u32,
    /// Shards of one tenant that run at once.
    pub parallelism: u32,
    /// Limits over tenants.
    pub rollout: Rollout,
    /// The tenants: 1 to 500.
    pub tenants: Vec<Tenant>,
}

/// Limits over tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// Tenants scored at once.
    pub max_concurrent_tenants: u32,
    /// Tenants that may fail before no more are started.
    pub max_failed_tenants: u32,
}

/// A named set of users with its own output place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// Name: a DNS label.
    pub name: String,
    /// Value of the tenant column.
    pub value: String,
    /// Where lists are published.
    pub output: Location,
    /// The job's storage, as this tenant's workers reach it.
    pub storage: Location,
    /// Items that may be recommended; unset means all.
    pub catalog: Option<Location>,
    /// Length of a list.
    pub top_k: u32,
    /// Whether items of the user's own history are left out.
    pub exclude_seen: bool,
    /// Whether recommendations say which items of the history they come from. Left out where they don't, as earlier
    /// releases did: what was frozen by one stays what it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explanations: bool,
    /// What is given up for less memory and time. Left out where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// How many people's lists a page beside the lists shows. Left out where it is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub report_people: u32,
}

/// How much smaller scoring makes what it keeps of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compression {
    /// Facets that an item belongs to: its largest ones; unset means all.
    pub facets_per_item: Option<u32>,
    /// How items' vectors are kept.
    pub item_vectors: ItemVectors,
}

/// How items' vectors are kept.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemVectors {
    /// As they were learnt.
    Float32,
    /// Each number in 8 bits.
    Int8,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
