//! What to learn from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::location::Location;

/// Interactions, items, filters and split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// Who did what with which item. Unused (empty) rows only where the split is [`Split::Provided`].
    pub interactions: Interactions,
    /// What is known of the items.
    pub items: Option<Items>,
    /// Smallest number of interactions of a user and of an item, repeated until stable (k-core).
    pub minimum_interactions: MinimumInteractions,
    /// Who is held out for validation and test.
    pub split: Split,
}

/// Where interactions lie and how to read them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interactions {
    /// File or prefix.
    pub location: Location,
    /// Format of the files; unset means by each file's name.
    pub format: Option<Format>,
    /// Which column holds what.
    pub columns: InteractionColumns,
    /// Weight of each kind of behaviour. A kind that isn't listed is dropped and counted. Empty means that every
    /// row weighs 1 whatever its kind.
    pub events: BTreeMap<String, f64>,
    /// Smallest rating that counts as a positive; unset means all do.
    pub minimum_rating: Option<f64>,
    /// What merged weights mean to the model.
    pub weighting: Weighting,
    /// What to do with a row that can't be read.
    pub on_bad_rows: OnBadRows,
    /// How many rows may be skipped before the data counts as broken all the same.
    pub maximum_bad_rows: u64,
}

/// File formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Format {
    Parquet,
    Csv,
    Tsv,
    JsonLines,
    /// RecBole's atomic files: tab-separated, with `name:type` headers.
    RecBole,
}

/// Column names of interactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InteractionColumns {
    /// Who.
    pub user: String,
    /// What.
    pub item: String,
    /// Kind of behaviour.
    pub event: Option<String>,
    /// Rating.
    pub rating: Option<String>,
    /// When: seconds, milliseconds or microseconds since 1970, a timestamp column, or RFC 3339 text.
    pub timestamp: Option<String>,
    /// Which tenant the user belongs to.
    pub tenant: Option<String>,
}

/// What merged weights mean to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Weighting {
    /// A pair with a positive weight is 1.
    Binary,
    /// The sum of the events' weights.
    Weighted,
    /// `ln(1 + sum)`.
    Log,
}

/// What to do with a row that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnBadRows {
    /// End with the file, row and column.
    Fail,
    /// Count it and go on.
    Skip,
}

/// Where item metadata lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Items {
    /// File or prefix.
    pub location: Location,
    /// Format of the files; unset means by each file's name.
    pub format: Option<Format>,
    /// Which column holds what.
    pub columns: ItemColumns,
    /// What separates categories in a text column, such as `|`; a list column needs none.
    pub category_separator: String,
}

/// Column names of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemColumns {
    /// Which item.
    pub item: String,
    /// Columns of text, joined by a line break.
    pub text: Vec<String>,
    /// Path of an image.
    pub image: Option<String>,
    /// Categories: separated text or a list.
    pub categories: Option<String>,
    /// The facet that an item is known to belong to, for measuring alone. Left out where there is none, as earlier
    /// releases did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<String>,
}

/// Smallest number of interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MinimumInteractions {
    /// Of a user.
    pub user: u32,
    /// Of an item.
    pub item: u32,
}

/// Who is held out for validation and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
#[allow(clippy::large_enum_variant)]
pub enum Split {
    /// Whole users are held out; part of each one's items is hidden (Liang et al., 2018).
    #[serde(rename_all = "camelCase")]
    StrongGeneralization {
        /// Decides a user's role by hash(seed, user), so that it is stable over retrains.
        seed: u64,
        /// Share of users for validation.
        validation: f64,
        /// Share of users for test.
        test: f64,
        /// Share of a held-out user's items that is hidden.
        held_out: f64,
        /// Share of items that nobody trains with. Left out where it is none, as earlier releases did: what was frozen by one
        /// stays what it is.
        #[serde(default, skip_serializing_if = "is_none")]
        cold_items: f64,
    },
    /// Every user trains; the last item by time is for test, the one before for validation.
    LeaveLastOut,
    /// The user's own files.
    #[serde(rename_all = "camelCase")]
    Provided {
        /// Training interactions.
        train: Location,
        /// Validation.
        validation: ProvidedPair,
        /// Test.
        test: ProvidedPair,
    },
}

fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// Fold-in and held-out interactions of the same users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvidedPair {
    /// What the model sees.
    pub fold_in: Location,
    /// What it is asked for.
    pub held_out: Location,
}
