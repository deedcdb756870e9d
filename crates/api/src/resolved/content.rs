//! What large pretrained models read of items.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::location::Location;

/// Encoders of item content, and how it decides the items' facets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// Reads the items' texts.
    pub text: Option<Encoder>,
    /// Reads the items' images.
    pub image: Option<Encoder>,
    /// How content decides the items' facets.
    pub routing: ContentRouting,
    /// What to do with an item whose text or image can't be read.
    pub on_bad_items: OnBadItems,
}

impl Content {
    /// How many vectors an item may have: one of each layer of each encoder.
    pub fn sources(&self) -> usize {
        let layers = |encoder: &Encoder| encoder.layers.as_ref().map_or(1, Vec::len);
        self.text.iter().chain(&self.image).map(layers).sum()
    }
}

/// A pretrained encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encoder {
    /// Its folder.
    pub location: Location,
    /// Layers that are read, 1 for the first block's; unset means the last one.
    pub layers: Option<Vec<u32>>,
    /// How tokens become one vector.
    pub pooling: Pooling,
}

/// How content decides the items' facets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContentRouting {
    /// Temperature of the softmax over facets of the cosines to their centres.
    pub temperature: f64,
    /// How far training may move items from where their content, or else their consumers, place them.
    pub drift: f64,
    /// How much of the whole history each facet's encoder sees beside the facet's own part.
    pub context: f64,
}

/// How tokens become one vector.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one, which stands for the whole in BERT and in vision transformers.
    Cls,
    /// The last one, the only one that has seen all others where tokens see those before them.
    LastToken,
}

/// What to do with an item whose text or image can't be read.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnBadItems {
    /// End with its id.
    Fail,
    /// It counts as one without.
    Skip,
}
