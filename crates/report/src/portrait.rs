//! `portrait.json`: what the report shows beside the measures.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model's facets hold, what it was trained on and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Portrait {
    /// The facets, by their numbers.
    pub facets: Vec<Facet>,
    /// Facets against categories; unset where items have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<HeatMap>,
    /// The items that most people have, in a plane.
    pub map: Vec<MapItem>,
    /// How interactions are spread over the items, from the most popular one on.
    pub tail: Vec<TailPoint>,
    /// What preparing found, as in the dataset's `report.json`.
    pub data: Value,
    /// The job with every default filled in.
    pub job: Value,
    /// What took time and memory.
    pub phases: Vec<Phase>,
}

/// The most facets that a page draws.
const MOST_DRAWN: usize = 24;

impl Portrait {
    /// The numbers of the facets that are drawn: those with the largest shares, where there are many.
    pub(crate) fn drawn(&self) -> Vec<usize> {
        let mut drawn: Vec<usize> = (0..self.facets.len()).collect();
        drawn.sort_by(|left, right| self.facets[*right].share.total_cmp(&self.facets[*left].share));
        drawn.truncate(MOST_DRAWN);
        drawn.sort_unstable();
        drawn
    }
}

/// One facet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facet {
    /// Mean over the items of their shares of it.
    pub share: f64,
    /// Its most typical items.
    pub items: Vec<FacetItem>,
    /// The categories that it has more of than all items have, the most distinctive ones first.
    pub categories: Vec<CategoryShare>,
    /// The terms of its items' texts that tell it from the others, the most distinctive ones first.
    #[serde(default)]
    pub terms: Vec<String>,
}

/// Categories and terms that a facet is called by.
const CATEGORIES_OF_A_NAME: usize = 2;
const TERMS_OF_A_NAME: usize = 3;

impl Facet {
    /// What to call it: its most distinctive categories and terms. Empty where it has none.
    pub fn name(&self) -> String {
        let categories = self.categories.iter().take(CATEGORIES_OF_A_NAME).map(|category| category.name.as_str());
        let terms = self.terms.iter().take(TERMS_OF_A_NAME).map(String::as_str);
        categories.chain(terms).collect::<Vec<_>>().join(", ")
    }
}

/// An item that is typical of a facet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FacetItem {
    /// Its text, else its id.
    pub name: String,
    /// Its share of the facet.
    pub share: f64,
}

/// A category in a facet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryShare {
    /// The category.
    pub name: String,
    /// Its share of the facet's items.
    pub share: f64,
    /// That over its share of all items.
    pub lift: f64,
}

/// Shares of categories in facets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// Categories: the rows.
    pub names: Vec<String>,
    /// Of each category's items, how much each facet has: `[category][facet]`, each row adds up to 1.
    pub shares: Vec<Vec<f64>>,
}

/// An item in the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapItem {
    /// Its text, else its id.
    pub name: String,
    /// First coordinate.
    pub x: f64,
    /// Second coordinate.
    pub y: f64,
    /// The facet that it has the largest share of.
    pub facet: usize,
}

/// A point of the long tail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TailPoint {
    /// So many of the items, as a share.
    pub items: f64,
    /// Have so many of the interactions, as a share.
    pub interactions: f64,
}

/// A phase of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Attempts that it took.
    pub attempts: u32,
    /// How long the last of them took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The most memory that its process had, in training that of rank 0, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}
