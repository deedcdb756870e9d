//! What to learn.

use serde::{Deserialize, Serialize};

use super::Content;

/// A facet variational autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Number of facets (macro): how many interests.
    pub facets: u32,
    /// Latent dimensions of a facet (micro).
    pub dimensions: u32,
    /// How behaviour is explained.
    pub likelihood: Likelihood,
    /// Temperature of the softmax over facets and of the decoder's cosines.
    pub temperature: f64,
    /// Weight of the Kullback-Leibler term.
    pub kl: Kl,
    /// Share of a user's items that is dropped from the encoder's input while training.
    pub dropout: f64,
    /// Standard deviation of the prior (`sigma0`).
    pub prior_deviation: f64,
    /// What is read of items. Left out where nothing is, as earlier releases did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// How behaviour is explained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
pub enum Likelihood {
    /// Softmax over the catalogue.
    Multinomial,
    /// A mean and a learned variance per item.
    #[serde(rename_all = "camelCase")]
    Gaussian {
        /// Smallest variance. Without one the likelihood of 0/1 data has no bound.
        variance_floor: f64,
    },
}

/// Weight of the Kullback-Leibler term.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kl {
    /// Final weight.
    pub weight: f64,
    /// Epochs over which the weight grows from 0, linearly by step.
    pub anneal_epochs: u32,
}
