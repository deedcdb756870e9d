//! What large pretrained models read of items.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use crate::location::Location;
use crate::resolved::{ColdItems, EncoderMatrix, OnBadItems, Pooling, Precision};

/// Encoders of item content, and how it decides the items' facets.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.text) || has(self.image)").message("needs text, image or both")
)]
pub struct ContentSpec {
    /// text reads the items' text columns. Unset means that text isn't read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<EncoderSpec>,
    /// image reads the items' images. Unset means that images aren't read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<EncoderSpec>,
    /// routing says how content decides the items' facets. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<ContentRoutingSpec>,
    /// coldItems says what becomes of items of data.items that no training user has: Recommend (by their contents), or
    /// Ignore. Defaults to Recommend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<ColdItems>")]
    pub cold_items: Option<ColdItems>,
    /// onBadItems says what to do with an item whose text or image can't be read: Fail (end with its id), or Skip (it
    /// counts as one without). Defaults to Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<OnBadItems>")]
    pub on_bad_items: Option<OnBadItems>,
}

/// How content decides the items' facets. Each facet starts as a cluster of the items' vectors, and an item belongs to
/// facets by the cosines to their centres. An item without any content is placed by who consumes it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentRoutingSpec {
    /// temperature of the softmax over facets of the cosines to their centres: the lower, the fewer facets an item
    /// belongs to. Defaults to 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub temperature: Option<f64>,
    /// drift is how far training may move items from where their content, or else their consumers, place them: 0 leaves
    /// them there, 1 lets what training finds count the same. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub drift: Option<f64>,
    /// context is how much of the whole history each facet's encoder sees beside the facet's own part: with 0 a facet knows
    /// nothing of a person's other interests, and lists are worse; the more of it, the more facets are alike. Defaults to
    /// 0.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "maximum" = 1, "exclusiveMaximum" = true))]
    pub context: Option<f64>,
}

/// A pretrained encoder.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.precision) || self.precision == 'Float32' || !has(self.tuning) || self.tuning.type == 'Frozen'")
        .message("precision Int8 goes with tuning of type Frozen")
)]
pub struct EncoderSpec {
    /// encoder is where the pretrained model lies.
    pub encoder: EncoderSource,
    /// layers whose outputs are read, 1 for the first block's. Each has facets' centres of its own, and training learns
    /// how much each counts. Unset means the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub layers: Option<Vec<u32>>,
    /// pooling makes one vector of all tokens: Mean, Cls (the first one's) or LastToken. Unset means Mean for text and Cls
    /// for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<Pooling>")]
    pub pooling: Option<Pooling>,
    /// precision of the encoder's matrices: Float32, or Int8, which reads faster and needs a quarter of the memory, but
    /// vectors are a little off. Defaults to Float32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::<Precision>")]
    pub precision: Option<Precision>,
    /// tuning adapts the encoder while training, through the loss of recommendations. Unset means that it stays frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningSpec>,
}

/// Where a pretrained model lies.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncoderSource {
    /// location is a folder as Hugging Face's transformers saves it: config.json, model.safetensors (or its shards), and
    /// tokenizer.json for text or preprocessor_config.json for images.
    pub location: Location,
}

/// How an encoder is adapted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.lowRank) || self.type == 'LowRank'").message("lowRank goes with type LowRank"),
    validation = Rule::new("!has(self.adapters) || self.type == 'Adapters'").message("adapters goes with type Adapters")
)]
pub struct TuningSpec {
    /// type is Frozen (nothing is adapted), LowRank (low-rank updates of weights), Adapters (small layers inside each
    /// block) or Full (all weights).
    #[serde(rename = "type")]
    pub kind: TuningType,
    /// lowRank goes with that type. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_rank: Option<LowRankSpec>,
    /// adapters goes with that type. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<AdaptersSpec>,
    /// learningRate of what is adapted. Unset means 0.0001, and 0.00002 with type Full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub learning_rate: Option<f64>,
    /// itemsPerStep is how many items each process reads anew in a step, and learns from. Defaults to 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub items_per_step: Option<u32>,
}

/// Ways to adapt an encoder.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TuningType {
    Frozen,
    LowRank,
    Adapters,
    Full,
}

/// Low-rank adaptation (Hu et al., 2021).
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LowRankSpec {
    /// rank of the updates. Defaults to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rank: Option<u32>,
    /// alpha scales the updates, by alpha / rank. Defaults to 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub alpha: Option<f64>,
    /// targets are the matrices of each block that are updated: Query, Key, Value, Output, Up, Gate and Down. Unset
    /// means Query and Value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub targets: Option<Vec<EncoderMatrix>>,
}

/// Adapters (Houlsby et al., 2019).
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptersSpec {
    /// width of the bottleneck. Defaults to 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
}
