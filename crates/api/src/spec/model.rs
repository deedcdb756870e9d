//! What to learn.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ContentSpec;

/// A facet variational autoencoder.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.gaussian) || (has(self.likelihood) && self.likelihood == 'Gaussian')")
        .message("gaussian goes with likelihood Gaussian")
)]
pub struct ModelSpec {
    /// facets is the number of facets (macro): how many interests a person may have. Defaults to 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub facets: Option<u32>,
    /// dimensions is the number of latent dimensions of a facet (micro). Defaults to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: Option<u32>,
    /// likelihood explains behaviour: Multinomial (a softmax over the catalogue) or Gaussian (a mean and a learned
    /// variance of each item). Defaults to Multinomial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodType>,
    /// gaussian goes with that likelihood. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaussian: Option<GaussianSpec>,
    /// temperature of the softmax over facets and of the decoder's cosines. Defaults to 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub temperature: Option<f64>,
    /// priorDeviation is the standard deviation of the latent prior. Defaults to 0.075.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub prior_deviation: Option<f64>,
    /// dropout is the share of a user's items that the encoder doesn't see while training. Defaults to 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "maximum" = 1, "exclusiveMaximum" = true))]
    pub dropout: Option<f64>,
    /// kl weighs the Kullback-Leibler term. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<KlSpec>,
    /// conditions weigh the terms that train facets to be independent, complete and consistent. Not supported yet
    /// but for weight 0. Unset means all its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<ConditionsSpec>,
    /// content reads item text and images with large pretrained models, which decide what facets items belong to. Unset
    /// means that items are known by behaviour alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentSpec>,
    /// hybrid adds other models' scores. Not supported yet. Unset means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<HybridSpec>,
}

/// How behaviour is explained.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LikelihoodType {
    Multinomial,
    Gaussian,
}

/// The Gaussian likelihood.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GaussianSpec {
    /// varianceFloor is the smallest variance; without one the likelihood of 0/1 data has no bound. Defaults to 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub variance_floor: Option<f64>,
}

/// Weight of the Kullback-Leibler term.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KlSpec {
    /// weight is the final weight. Defaults to 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub weight: Option<f64>,
    /// annealEpochs is over how many epochs the weight grows from 0, linearly by step. Defaults to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anneal_epochs: Option<u32>,
}

/// Weights of the trained terms.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionsSpec {
    /// independence is the weight of the term that keeps facets uncorrelated. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub independence: Option<f64>,
    /// completeness is the weight of the term that keeps a category in few facets. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub completeness: Option<f64>,
    /// consistency is the weight of the term that gives two halves of one history the same facets. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub consistency: Option<f64>,
}

/// Scores of several models, brought to one scale.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.weights) == (self.type == 'Weights')")
        .message("weights goes with type Weights, which needs it")
)]
pub struct HybridSpec {
    /// type is Weights (as given) or Auto (fitted on the validation users).
    #[serde(rename = "type")]
    pub kind: HybridType,
    /// weights goes with that type, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<HybridWeights>,
}

/// Who decides a hybrid's weights.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum HybridType {
    Weights,
    Auto,
}

/// Weights of a hybrid.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HybridWeights {
    /// collaborative weighs the facet model. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub collaborative: Option<f64>,
    /// neighbourhood weighs a linear item-item model. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub neighbourhood: Option<f64>,
    /// content weighs the likeness of item contents. Defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub content: Option<f64>,
}
