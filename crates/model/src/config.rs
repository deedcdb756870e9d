//! The shape of a model and its hyper-parameters.

use teasel_api::resolved;

use crate::error::{ModelError, Result};

/// Numbers that are kept of an item's content, where items are known of which there is nothing else.
pub(crate) const COMPONENTS: i64 = 128;

/// How behaviour is explained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Likelihood {
    /// A softmax over the catalogue.
    Multinomial,
    /// A mean and a learned variance per user and item.
    Gaussian {
        /// Smallest variance. On 0/1 data the likelihood has no bound without one.
        variance_floor: f64,
    },
}

/// How the items' contents decide their facets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContentConfig {
    /// How many vectors an item's content may have, each with facets' centres of its own.
    pub sources: usize,
    /// Temperature of the softmax over facets of the cosines to their centres.
    pub temperature: f64,
    /// How much of what training finds is added to where items are placed.
    pub drift: f64,
    /// How much of the whole history each facet's encoder sees beside the facet's own part.
    pub context: f64,
    /// Items behind those that are trained with, of which nothing but contents is known.
    pub cold_items: usize,
}

/// The shape of a model and its hyper-parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Items in the catalogue.
    pub items: usize,
    /// Facets: how many interests.
    pub facets: usize,
    /// Latent dimensions of a facet, and width of the encoder's hidden layer for it.
    pub dimensions: usize,
    /// How behaviour is explained.
    pub likelihood: Likelihood,
    /// Temperature of the softmax over facets and of the decoder's cosines.
    pub temperature: f64,
    /// Standard deviation of the prior. It matters to the multinomial likelihood, whose means have length 1; the
    /// Gaussian decoder's weights absorb any unit of the latents, so there it is without effect.
    pub prior_deviation: f64,
    /// Share of a user's items that is hidden from the encoder while training.
    pub dropout: f64,
    /// Final weight of the Kullback-Leibler term.
    pub kl_weight: f64,
    /// Steps over which that weight grows from 0; 0 means that it is final from the start.
    pub kl_anneal_steps: u64,
    /// Seed of parameters, dropout and noise.
    pub seed: u64,
    /// How the items' contents decide their facets; unset means that behaviour alone does.
    pub content: Option<ContentConfig>,
}

/// `exp` of twice the inverse of this stays far inside a 32-bit float's range, which is why the decoder needs no
/// running maximum: cosines are bounded.
const SMALLEST_TEMPERATURE: f64 = 0.025;

impl Config {
    /// The configuration that a resolved spec asks for, for a catalogue and an epoch of the given sizes.
    pub fn from_spec(model: &resolved::Model, items: usize, steps_per_epoch: u64, seed: u64) -> Self {
        let likelihood = match model.likelihood {
            resolved::Likelihood::Multinomial => Likelihood::Multinomial,
            resolved::Likelihood::Gaussian { variance_floor } => Likelihood::Gaussian { variance_floor },
        };
        Self {
            items,
            facets: model.facets as usize,
            dimensions: model.dimensions as usize,
            likelihood,
            temperature: model.temperature,
            prior_deviation: model.prior_deviation,
            dropout: model.dropout,
            kl_weight: model.kl.weight,
            kl_anneal_steps: u64::from(model.kl.anneal_epochs) * steps_per_epoch,
            seed,
            content: model.content.as_ref().map(|content| ContentConfig {
                sources: content.sources(),
                temperature: content.routing.temperature,
                drift: content.routing.drift,
                context: content.routing.context,
                cold_items: 0,
            }),
        }
    }

    /// The same with so many items behind the trained ones, of which contents alone are known; without content, of which
    /// nothing is.
    pub fn with_cold_items(mut self, items: usize) -> Self {
        if let Some(content) = &mut self.content {
            content.cold_items = items;
        }
        self
    }

    /// Items that are trained with and those of which contents alone are known.
    pub fn all_items(&self) -> usize {
        self.items + self.content.map_or(0, |content| content.cold_items)
    }

    /// Weight of the Kullback-Leibler term at a step, counted from 0 over all epochs.
    pub fn divergence_weight(&self, step: u64) -> f64 {
        if step >= self.kl_anneal_steps {
            return self.kl_weight;
        }
        self.kl_weight * step as f64 / self.kl_anneal_steps as f64
    }

    /// Refuses what describes no model, with the name of the spec's field.
    pub fn validate(&self) -> Result<()> {
        let refuse = |reason: String| Err(ModelError::Configuration(reason));
        if self.items == 0 {
            return refuse("the catalogue has no items".into());
        }
        if self.items > i32::MAX as usize {
            return refuse(format!("the catalogue has {} items, more than {}", self.items, i32::MAX));
        }
        if self.facets == 0 || self.dimensions == 0 {
            return refuse("`model.facets` and `model.dimensions` must be at least 1".into());
        }
        if !(SMALLEST_TEMPERATURE..=100.0).contains(&self.temperature) {
            return refuse(format!("`model.temperature` must be {SMALLEST_TEMPERATURE} to 100"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("`model.dropout` must be at least 0 and below 1".into());
        }
        if !(self.prior_deviation > 0.0 && self.prior_deviation.is_finite()) {
            return refuse("`model.priorDeviation` must be above 0".into());
        }
        if !(self.kl_weight >= 0.0 && self.kl_weight.is_finite()) {
            return refuse("`model.kl.weight` must be at least 0".into());
        }
        if let Likelihood::Gaussian { variance_floor } = self.likelihood
            && !(variance_floor > 0.0 && variance_floor.is_finite())
        {
            return refuse("`model.likelihood.varianceFloor` must be above 0".into());
        }
        self.content.map_or(Ok(()), ContentConfig::validate)
    }
}

impl ContentConfig {
    fn validate(self) -> Result<()> {
        let refuse = |reason: &str| Err(ModelError::Configuration(reason.into()));
        if self.sources == 0 {
            return refuse("`model.content` reads nothing");
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return refuse("`model.content.routing.temperature` must be above 0");
        }
        if !(self.drift >= 0.0 && self.drift.is_finite()) {
            return refuse("`model.content.routing.drift` must be at least 0");
        }
        if !(0.0..1.0).contains(&self.context) {
            return refuse("`model.content.routing.context` must be at least 0 and below 1");
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn valid() -> Config {
        Config {
            items: 10,
            facets: 3,
            dimensions: 4,
            likelihood: Likelihood::Multinomial,
            temperature: 0.1,
            prior_deviation: 0.075,
            dropout: 0.5,
            kl_weight: 0.2,
            kl_anneal_steps: 4,
            seed: 1,
            content: None,
        }
    }

    fn content() -> ContentConfig {
        ContentConfig { sources: 1, temperature: 0.1, drift: 0.0, context: 0.3, cold_items: 0 }
    }

    #[rstest]
    #[case::no_items(Config { items: 0, ..valid() }, "no items")]
    #[case::no_facets(Config { facets: 0, ..valid() }, "model.facets")]
    #[case::cold(Config { temperature: 0.01, ..valid() }, "model.temperature")]
    #[case::not_a_number(Config { temperature: f64::NAN, ..valid() }, "model.temperature")]
    #[case::drops_all(Config { dropout: 1.0, ..valid() }, "model.dropout")]
    #[case::no_prior(Config { prior_deviation: 0.0, ..valid() }, "model.priorDeviation")]
    #[case::negative_weight(Config { kl_weight: -1.0, ..valid() }, "model.kl.weight")]
    #[case::no_floor(
        Config { likelihood: Likelihood::Gaussian { variance_floor: 0.0 }, ..valid() },
        "varianceFloor"
    )]
    #[case::no_sources(Config { content: Some(ContentConfig { sources: 0, ..content() }), ..valid() }, "model.content")]
    #[case::hot(
        Config { content: Some(ContentConfig { temperature: 0.0, ..content() }), ..valid() },
        "routing.temperature"
    )]
    #[case::backwards(Config { content: Some(ContentConfig { drift: -0.5, ..content() }), ..valid() }, "routing.drift")]
    #[case::no_facets_left(
        Config { content: Some(ContentConfig { context: 1.0, ..content() }), ..valid() },
        "routing.context"
    )]
    fn a_refusal_names_the_field(#[case] config: Config, #[case] named: &str) {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }

    #[test]
    fn a_valid_configuration_is_accepted() {
        valid().validate().unwrap();
        Config { content: Some(content()), ..valid() }.validate().unwrap();
    }

    #[rstest]
    #[case(0, 0.0)]
    #[case(1, 0.05)]
    #[case(4, 0.2)]
    #[case(1000, 0.2)]
    fn the_divergence_weight_grows_linearly_and_stays(#[case] step: u64, #[case] expected: f64) {
        assert!((valid().divergence_weight(step) - expected).abs() < 1e-12);
    }

    #[test]
    fn without_annealing_the_weight_is_final_at_once() {
        let config = Config { kl_anneal_steps: 0, ..valid() };
        assert_eq!(config.divergence_weight(0), 0.2);
    }
}
