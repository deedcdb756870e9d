//! The facet variational autoencoder, its losses and its evaluation metrics.
//!
//! [`FacetVae`] gives losses whose gradients any optimizer and any data-parallel reducer can use; [`Scorer`] turns
//! users' items into recommendations; [`metrics`] says how good these are; [`baselines`] holds what to compare with.
//! Nothing here reads files, opens sockets or knows how many processes train.

pub mod baselines;
mod batch;
pub mod bootstrap;
mod catalogue;
mod clusters;
mod cold;
mod config;
mod consumers;
mod dense;
mod encoder;
mod error;
mod explain;
mod few_facets;
mod gaussian;
pub mod measures;
pub mod metrics;
mod multinomial;
mod noise;
mod parameters;
mod philox;
mod place;
mod ridge;
mod routing;
mod scorer;
mod targets;
mod top_k;
mod tuned;
mod vae;
mod vectors;

pub use batch::BatchInput;
pub use bootstrap::RatioInterval;
pub use catalogue::Compression;
pub use clusters::{Anchors, ContentPlacement, ContentVectors};
pub use config::{Config, ContentConfig, Likelihood};
pub use consumers::{item_vectors, rank_for};
pub use error::{ModelError, Result};
pub use explain::Contribution;
pub use place::read_numbers;
pub use scorer::{Recommendation, Scorer, ScorerOptions};
pub use vae::{FacetVae, Loss, Placements};
