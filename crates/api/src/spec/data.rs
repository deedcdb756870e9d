//! What to learn from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PodTemplate;
use super::choice::choice;
use crate::location::Location;
use crate::resolved::{Format, OnBadRows, Weighting};

/// Interactions, items, filters and split.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSpec {
    /// interactions say who did what with which item.
    pub interactions: InteractionsSpec,
    /// items say what is known of each item. Unset means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsSpec>,
    /// minimumInteractions drops users and items with fewer interactions, again and again until none is left to
    /// drop (k-core). Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_interactions: Option<MinimumInteractionsSpec>,
    /// split says who is held out for validation and test. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// template is the pod template of the prepare task. Unset means the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// Where interactions lie and how to read them.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InteractionsSpec {
    /// location is a file or a prefix: Parquet, CSV, TSV, JSON lines or RecBole's atomic files, compressed or not.
    pub location: Location,
    /// format of the files. Unset means by each file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<Format>")]
    pub format: Option<Format>,
    /// columns say which column holds what.
    pub columns: InteractionColumnsSpec,
    /// events is the weight of each kind of behaviour; a kind that isn't listed is dropped and counted. Unset means
    /// that every row weighs 1 whatever its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeMap<String, f64>>,
    /// minimumRating is the smallest rating that counts. Unset means that all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_rating: Option<f64>,
    /// weighting says what the merged weight of a user's rows with one item means to the model: Binary (1), Weighted
    /// (the sum) or Log (ln(1 + sum)). Defaults to Binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<Weighting>")]
    pub weighting: Option<Weighting>,
    /// onBadRows says what to do with a row that can't be read: Fail ends with its file and row, Skip counts it and
    /// goes on. Defaults to Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<OnBadRows>")]
    pub on_bad_rows: Option<OnBadRows>,
    /// maximumBadRows is how many rows may be skipped before the data counts as broken all the same. Defaults to 1000
    /// where onBadRows is Skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_bad_rows: Option<u64>,
}

/// Column names of interactions.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InteractionColumnsSpec {
    /// user is the column that says who.
    #[schemars(length(min = 1))]
    pub user: String,
    /// item is the column that says what.
    #[schemars(length(min = 1))]
    pub item: String,
    /// event is the column with the kind of behaviour. Unset means that all rows are of one kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub event: Option<String>,
    /// rating is the column with the rating. Unset means that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub rating: Option<String>,
    /// timestamp is the column that says when: seconds, milliseconds or microseconds since 1970, a timestamp, or RFC
    /// 3339 text. Unset means that no order is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub timestamp: Option<String>,
    /// tenant is the column that says which tenant a user belongs to; a person is then (tenant, user). Unset means
    /// that every tenant gets all users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub tenant: Option<String>,
}

/// Where item metadata lies.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemsSpec {
    /// location is a file or a prefix with one row for each item.
    pub location: Location,
    /// format of the files. Unset means by each file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<Format>")]
    pub format: Option<Format>,
    /// columns say which column holds what.
    pub columns: ItemColumnsSpec,
    /// categorySeparator stands between categories in a text column; a list column needs none. Defaults to |.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub category_separator: Option<String>,
}

/// Column names of items.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemColumnsSpec {
    /// item is the column that says which item.
    #[schemars(length(min = 1))]
    pub item: String,
    /// text lists columns of text, which are joined by a line break; a list in one is joined by commas. Unset means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Vec<String>>,
    /// image is the column with the path of an image. Unset means that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub image: Option<String>,
    /// categories is the column with categories: separated text or a list. Unset means that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub categories: Option<String>,
    /// facet is the column with the facet that an item is known to belong to, as in generated data. Nothing is learnt
    /// from it: evaluation says how far the model has found it again. Unset means that none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<String>,
}

/// Smallest number of interactions.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinimumInteractionsSpec {
    /// user is the smallest number of a user. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub user: Option<u32>,
    /// item is the smallest number of an item. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub item: Option<u32>,
}

/// Who is held out for validation and test.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.strongGeneralization) || !has(self.type) || self.type == 'StrongGeneralization'")
        .message("strongGeneralization goes with type StrongGeneralization"),
    validation = Rule::new("has(self.provided) == (has(self.type) && self.type == 'Provided')")
        .message("provided goes with type Provided, which needs it")
)]
pub struct SplitSpec {
    /// type is StrongGeneralization (whole users are held out, and part of each one's items is hidden), LeaveLastOut
    /// (each user's last item by time is for test, the one before for validation) or Provided (your own files).
    /// Defaults to StrongGeneralization.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SplitType>,
    /// strongGeneralization goes with that type. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strong_generalization: Option<StrongGeneralizationSpec>,
    /// provided goes with that type, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provided: Option<ProvidedSpec>,
}

/// How data is split.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SplitType {
    StrongGeneralization,
    LeaveLastOut,
    Provided,
}

/// Shares of a split by users (Liang et al., 2018).
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrongGeneralizationSpec {
    /// seed decides each user's role, by hash(seed, user), so that roles are stable over retrains. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// validation is the share of users for validation. Defaults to 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub validation: Option<f64>,
    /// test is the share of users for test. Defaults to 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub test: Option<f64>,
    /// heldOut is the share of a held-out user's items that is hidden. Defaults to 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub held_out: Option<f64>,
    /// coldItems is the share of items that nobody trains with, by hash(seed, item): with model.content it is measured
    /// how they are recommended to held-out users. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub cold_items: Option<f64>,
}

/// Your own split. All files have the columns of interactions.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvidedSpec {
    /// train holds the training interactions.
    pub train: Location,
    /// validation holds the users by whom the best epoch is chosen.
    pub validation: ProvidedPairSpec,
    /// test holds the users by whom the model is measured.
    pub test: ProvidedPairSpec,
}

/// Two files on the same users.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvidedPairSpec {
    /// foldIn is what the model sees.
    pub fold_in: Location,
    /// heldOut is what it is asked for.
    pub held_out: Location,
}
