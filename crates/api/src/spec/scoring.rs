//! Whom to recommend to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PodTemplate;
use super::choice::choice;
use crate::location::{Location, SecretRef};
use crate::resolved::ItemVectors;

/// Batch scoring.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoringSpec {
    /// topK is the length of a list. Defaults to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub top_k: Option<u32>,
    /// excludeSeen leaves out items of the user's own history. Defaults to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_seen: Option<bool>,
    /// explanations adds to each recommendation the items of the user's history that contributed most. Defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanations: Option<bool>,
    /// report shows some people's lists on a page beside each tenant's lists. Unset means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ListReportSpec>,
    /// compression makes what scoring reads of items smaller, and with fewer facets scoring faster, at some cost of NDCG. Unset
    /// means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionSpec>,
    /// shards is into how many parts each tenant's users are cut. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub shards: Option<u32>,
    /// parallelism is how many shards of one tenant run at once. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub parallelism: Option<u32>,
    /// rollout limits how many tenants run and may fail. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutSpec>,
    /// tenants are the named sets of users that get lists.
    #[schemars(length(min = 1, max = 500), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tenants: Vec<TenantSpec>,
    /// template is the pod template of scoring. Unset means the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// How much smaller scoring makes what it keeps of items. What that costs is measured where the run is evaluated.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompressionSpec {
    /// facetsPerItem is to how many facets an item belongs: its largest ones. Unset means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub facets_per_item: Option<u32>,
    /// itemVectors is Float32, or Int8: each number in 8 bits. Defaults to Float32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<ItemVectors>")]
    pub item_vectors: Option<ItemVectors>,
}

/// A page with some people's lists, for the tenant's eyes: it names people and items of their histories.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListReportSpec {
    /// people is how many are shown. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 50))]
    pub people: Option<u32>,
}

/// Limits over tenants.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// maxConcurrentTenants is how many tenants are scored at once. Defaults to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub max_concurrent_tenants: Option<u32>,
    /// maxFailedTenants is how many tenants may fail before no more are started. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 500))]
    pub max_failed_tenants: Option<u32>,
}

/// A named set of users with its own output place, credentials and catalogue.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantSpec {
    /// name is a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// value of the tenant column. Unset means the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// output is where the tenant's lists are published.
    pub output: Location,
    /// storage says how this tenant's workers reach the job's storage, of which they read models/ and their own
    /// tenants/ prefix. Unset means ambient identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<TenantStorageSpec>,
    /// catalog lists the items that may be recommended. Unset means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogSpec>,
    /// topK is the length of this tenant's lists. Unset means scoring.topK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub top_k: Option<u32>,
    /// excludeSeen of this tenant. Unset means scoring.excludeSeen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_seen: Option<bool>,
    /// explanations of this tenant. Unset means scoring.explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanations: Option<bool>,
    /// report of this tenant. Unset means scoring.report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ListReportSpec>,
}

/// How a tenant's workers reach the job's storage.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStorageSpec {
    /// secretRef names the secret with this tenant's credentials for it.
    pub secret_ref: SecretRef,
}

/// Items that may be recommended.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogSpec {
    /// location is a file or a prefix with the item ids.
    pub location: Location,
}
