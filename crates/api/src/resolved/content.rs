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
    /// What becomes of items that nobody trains with. Left out where they are recommended: what an earlier release froze
    /// stays what it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cold_items: ColdItems,
    /// What to do with an item whose text or image can't be read.
    pub on_bad_items: OnBadItems,
}

impl Content {
    /// Whether training adapts an encoder.
    pub fn is_tuned(&self) -> bool {
        self.text.iter().chain(&self.image).any(|encoder| encoder.tuning.is_some())
    }

    /// How many vectors an item may have: one of each layer of each encoder.
    pub fn sources(&self) -> usize {
        let layers = |encoder: &Encoder| encoder.layers.as_ref().map_or(1, Vec::len);
        self.text.iter().chain(&self.image).map(layers).sum()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A pretrained encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encoder {
    /// Its folder.
    pub location: Location,
    /// Layers that are read, 1 for the first block's; unset means the last one.
    pub layers: Option<Vec<u32>>,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// How its matrices are held. Left out where they are floats: what an earlier release froze stays what it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// How it is adapted while training; unset means that it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
}

/// How an encoder is adapted, through the loss of recommendations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tuning {
    /// What is adapted.
    pub method: TuningMethod,
    /// Of what is adapted.
    pub learning_rate: f64,
    /// How many items each process reads anew in a step.
    pub items_per_step: u32,
}

/// What is adapted of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", deny_unknown_fields)]
pub enum TuningMethod {
    /// Updates of low rank to some matrices (Hu et al., 2021).
    LowRank {
        /// Rank of the updates.
        rank: u32,
        /// Scales them, by `alpha / rank`.
        alpha: f64,
        /// Which matrices of each block.
        targets: Vec<EncoderMatrix>,
    },
    /// Small layers inside each block (Houlsby et al., 2019).
    Adapters {
        /// Width of the bottleneck.
        width: u32,
    },
    /// All weights.
    Full,
}

/// A matrix of an encoder's block.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncoderMatrix {
    /// Of the queries of attention.
    Query,
    /// Of its keys.
    Key,
    /// Of its values.
    Value,
    /// Behind attention.
    Output,
    /// The feed-forward layer's first.
    Up,
    /// Its gate, where it has one.
    Gate,
    /// Its last.
    Down,
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

/// How an encoder's matrices are held.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// As 32-bit floats.
    #[default]
    Float32,
    /// As 8-bit integers, and multiplied as such (dynamic quantisation).
    Int8,
}

/// What becomes of items that nobody trains with.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColdItems {
    /// They are recommended by their contents.
    #[default]
    Recommend,
    /// They aren't read and never recommended.
    Ignore,
}

/// What to do with an item whose text or image can't be read.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnBadItems {
    /// End with its id.
    Fail,
    /// It counts as one without.
    Skip,
}
