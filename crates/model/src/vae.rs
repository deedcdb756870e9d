//! The facet variational autoencoder, after MacridVAE (Ma, Zhou, Cui, Yang and Zhu, "Learning Disentangled
//! Representations for Recommendation", 2019).
//!
//! An item `i` belongs to facets by `c_i = softmax_k(cos(t_i, m_k) / temperature)`. Each facet's encoder sees the user's
//! items weighted by `c_k` and says where the user stands in it; the decoder explains each item by its facets.

use tch::{Device, Kind, Tensor};

use crate::batch::BatchInput;
use crate::clusters::ContentPlacement;
use crate::config::{Config, Likelihood};
use crate::dense::Workspace;
use crate::encoder::{Encoded, Encoder, History, Strategy};
use crate::error::{ModelError, Result};
use crate::gaussian;
use crate::measures::{Shares, permutation};
use crate::multinomial::{self, Plan};
use crate::noise::Noise;
use crate::parameters::{Constant, Parameters, Role};
use crate::place::{Place, read_numbers};
use crate::routing::{Router, normalise};
use crate::scorer::{Scorer, ScorerOptions};
use crate::targets::Targets;

/// A facet variational autoencoder: its parameters, and the work space of training.
#[derive(Debug)]
pub struct FacetVae {
    config: Config,
    pub(crate) parameters: Parameters,
    noise: Noise,
    place: Place,
    pub(crate) strategy: Strategy,
    /// How the decoder works on a batch; unset means by the batch's size.
    plan: Option<Plan>,
    workspace: Workspace,
}

/// Where items' contents and where their consumers place them.
#[derive(Clone, Debug)]
pub struct Placements {
    /// By content; all facets alike for an item without.
    pub content: Shares,
    /// By who consumes them; that of an item with content as if it had none.
    pub consumers: Shares,
    /// Which items have content.
    pub known: Vec<bool>,
}

/// The loss of a batch, summed over its users.
#[derive(Debug)]
pub struct Loss {
    /// A scalar whose value is the loss and whose backward pass adds to the parameters' gradients. To train by the mean
    /// over a batch, divide by the batch's users over all processes; where gradients are averaged over processes
    /// afterwards, multiply by the number of processes too.
    pub objective: Tensor,
    /// The reconstruction term.
    pub negative_log_likelihood: f64,
    /// The Kullback-Leibler divergence from the prior, before its weight.
    pub divergence: f64,
    /// Its weight at this step.
    pub divergence_weight: f64,
    /// Users of the batch.
    pub users: usize,
}

impl FacetVae {
    /// A model with fresh parameters on CPUs: a pure function of the configuration.
    pub fn new(config: Config) -> Result<Self> {
        Self::on(config, Device::Cpu)
    }

    /// The same parameters on `device`, which everything is then computed on. Batches, losses' values and stored
    /// parameters stay in this process's memory.
    ///
    /// # Errors
    /// [`ModelError::Torch`] where the device can't be used. A CUDA device needs libtorch's CUDA half loaded before.
    pub fn on(config: Config, device: Device) -> Result<Self> {
        Self::in_place(config, Place { kind: Kind::Float, device })
    }

    pub(crate) fn in_place(config: Config, place: Place) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            parameters: Parameters::fresh(&config, place)?,
            noise: Noise::new(config.seed),
            place,
            strategy: Strategy::for_shape(&config),
            plan: None,
            workspace: Workspace::default(),
            config,
        })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// A model of the same shape and seed that has learned nothing: its items have the same contents, and its vectors are
    /// random ones.
    pub fn untrained(&self) -> Result<Self> {
        let fresh = Self::in_place(self.config.clone(), self.place)?;
        fresh.parameters.copy_constants(&self.parameters)?;
        Ok(fresh)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names and values of the parameters, always in this order: `item.directions` and `facet.prototypes` (`[items,
    /// dimensions]`, `[facets, dimensions]`), `encoder.input.weight` and `.bias` (`[items, dimensions]`, `[dimensions]`),
    /// `encoder.output.weight` and `.bias` (`[2 dimensions, dimensions]`, `[2 dimensions]`); Gaussian only:
    /// `decoder.mean.weight` and `.bias`, `decoder.variance.weight` and `.bias` (`[items, dimensions]`, `[items]`); with
    /// content only: `content.fusion` (`[sources]`), `encoder.input.facet.bias` and `encoder.output.facet.bias` (`[facets,
    /// dimensions]`, `[facets, 2 dimensions]`).
    ///
    /// The tensors are leaves that require gradients; an optimizer changes them in place.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        self.parameters.named()
    }

    /// The parameters as a safetensors file: 32-bit floats under the names of [`Self::parameters`].
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        self.parameters.to_safetensors()
    }

    /// Takes over the parameters of a safetensors file. They are copied into the existing tensors, so handles to these
    /// stay valid; on an error nothing has changed.
    pub fn load_safetensors(&mut self, bytes: &[u8]) -> Result<()> {
        self.parameters.load(bytes)
    }

    /// All that is stored: the parameters, and with content `content.cosines`, `content.known` and `content.consumers`
    /// (`[sources, facets, items]`, `[sources, items]`, `[facets, items]`), with items that nobody trains with
    /// `content.components` and `content.counts` (`[items, 128]`, `[items]`), which no optimizer changes.
    pub fn stored(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.parameters.stored()
    }

    /// Those of [`Self::stored`] that training reads: several processes need the same of these.
    pub fn trained_with(&self) -> impl Iterator<Item = &(String, Tensor)> {
        self.parameters.trained_with()
    }

    /// Places items by their contents and consumers. Before, all facets of an item are alike, but for what drift adds.
    ///
    /// # Errors
    /// [`ModelError::Input`] where the placement is one of other items, sources or facets.
    pub fn place_by_content(&mut self, placement: &ContentPlacement) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let mut values = vec![
            (Constant::Cosines, &placement.cosines),
            (Constant::Known, &placement.known),
            (Constant::Consumers, &placement.consumers),
        ];
        if let Some(components) = &placement.components {
            values.extend([(Constant::Contents, components), (Constant::Counts, &placement.counts)]);
        }
        for (constant, value) in &values {
            let own = self.parameters.constant(*constant)?;
            if own.size() != value.size() {
                let (own, other) = (own.size(), value.size());
                return Err(ModelError::Input(format!("{constant:?} of shape {other:?}, this model's is {own:?}")));
            }
        }
        for (constant, value) in values {
            self.parameters.constant(constant)?.shallow_clone().f_copy_(value)?;
        }
        Ok(())
    }

    /// Starts the items' vectors, their directions and the encoder's first layer, at `vectors` of who has what, `[items,
    /// rank]`: those of [`item_vectors`](crate::item_vectors), of which the largest dimensions are taken, at length 1. Where
    /// there are fewer, the others stay as they are.
    ///
    /// # Errors
    /// [`ModelError::Input`] where they are vectors of other items.
    pub fn start_from(&mut self, vectors: &Tensor) -> Result<()> {
        let _guard = tch::no_grad_guard();
        if vectors.dim() != 2 || vectors.size()[0] != self.config.items as i64 {
            let (of, items) = (vectors.size(), self.config.items);
            return Err(ModelError::Input(format!("vectors of shape {of:?} for {items} items")));
        }
        let rank = vectors.size()[1];
        let kept = rank.min(self.config.dimensions as i64);
        // The largest come last.
        let largest = self.place.bring(&normalise(&vectors.f_narrow(1, rank - kept, kept)?)?)?;
        for role in [Role::Items, Role::Input] {
            self.parameters.get(role)?.f_narrow(1, 0, kept)?.f_copy_(&largest)?;
        }
        Ok(())
    }

    /// What recommends with the parameters as they are now. `allowed` lists the items that may be recommended, in any
    /// order; unset means all.
    pub fn scorer(&self, allowed: Option<&[i64]>) -> Result<Scorer> {
        self.scorer_with(&ScorerOptions { allowed, ..ScorerOptions::default() })
    }

    /// The same with more to choose.
    pub fn scorer_with(&self, options: &ScorerOptions<'_>) -> Result<Scorer> {
        Scorer::new(&self.config, &self.parameters, self.strategy, options, None)
    }

    /// A scorer for which facets were shuffled over the items: what it loses is what facets are good for.
    pub fn scorer_with_shuffled_facets(&self, seed: u64) -> Result<Scorer> {
        let order = permutation(self.config.items, seed, 0);
        let order: Vec<i64> = order.into_iter().map(|item| item as i64).collect();
        Scorer::new(&self.config, &self.parameters, self.strategy, &ScorerOptions::default(), Some(&order))
    }

    /// Where the items' contents and where their consumers alone place them. `None` for a model without content.
    pub fn placements(&self) -> Result<Option<Placements>> {
        let _guard = tch::no_grad_guard();
        let directions = normalise(self.parameters.get(Role::Items)?)?;
        let Some([content, consumers, known]) =
            Router::new(&self.config, &self.parameters, &directions)?.apart()?
        else {
            return Ok(None);
        };
        let known = read_numbers::<f32>(&known)?.into_iter().map(|known| known > 0.5).collect();
        let shares = |values: &Tensor| Shares::new(self.config.facets, read_numbers(values)?);
        Ok(Some(Placements { content: shares(&content)?, consumers: shares(&consumers)?, known }))
    }

    /// The loss of a batch at a step, summed over the batch's users. `step` counts from 0 over all epochs and keys
    /// dropout and noise, so a batch that is split over processes has the same loss and gradients as a whole one, up to
    /// rounding.
    ///
    /// A batch without users has loss 0 and gives every parameter a gradient of 0.
    pub fn loss(&mut self, batch: &BatchInput<'_>, step: u64) -> Result<Loss> {
        batch.validate(self.config.items)?;
        let divergence_weight = self.config.divergence_weight(step);
        if batch.users() == 0 {
            let objective = self.zero()?;
            return Ok(Loss {
                objective,
                negative_log_likelihood: 0.0,
                divergence: 0.0,
                divergence_weight,
                users: 0,
            });
        }

        let gumbel = self.place.bring(&self.noise.gumbel(step, self.config.facets, self.config.items)?)?;
        let directions = normalise(self.parameters.get(Role::Items)?)?;
        let router = Router::new(&self.config, &self.parameters, &directions)?;
        let routing = router.log_shares(Some(&gumbel))?;
        let history = History::with_dropout(batch, self.place, &self.noise, self.config.dropout, step)?;
        let encoded = Encoder::new(&self.config, &self.parameters, &routing, self.strategy)?.encode(&history)?;
        let divergence = self.divergence(&encoded)?;
        let latents = self.sample(&encoded, batch, step)?;
        let (surrogate, negative_log_likelihood) = match self.config.likelihood {
            Likelihood::Multinomial => self.multinomial(batch, &latents, &directions, &routing)?,
            Likelihood::Gaussian { variance_floor } => self.gaussian(batch, &latents, &routing, variance_floor)?,
        };

        let objective = surrogate.f_add(&divergence.f_mul_scalar(divergence_weight)?)?;
        let divergence = divergence.f_double_value(&[])?;
        let value = negative_log_likelihood + divergence_weight * divergence;
        if !value.is_finite() {
            return Err(ModelError::Diverged { step });
        }
        let objective = objective.f_add_scalar(value - objective.f_double_value(&[])?)?;
        Ok(Loss { objective, negative_log_likelihood, divergence, divergence_weight, users: batch.users() })
    }

    /// 0, with a path to every parameter.
    fn zero(&self) -> Result<Tensor> {
        let mut zero = self.place.zeros(&[])?;
        for (_, parameter) in self.parameters.named() {
            // An empty slice: a sum over all could be infinite, and infinity times 0 is no number.
            zero = zero.f_add(&parameter.f_narrow(0, 0, 0)?.f_sum(None)?)?;
        }
        Ok(zero)
    }

    /// The divergence of the latents from their prior. For the multinomial likelihood means have length 1, so their part
    /// is a constant and left out.
    fn divergence(&self, encoded: &Encoded) -> Result<Tensor> {
        let log_variance = &encoded.log_variance;
        let spread = log_variance.f_exp()?.f_sub(log_variance)?.f_add_scalar(-1.0)?;
        let terms = match self.config.likelihood {
            Likelihood::Multinomial => spread,
            Likelihood::Gaussian { .. } => spread.f_add(&encoded.mean.f_square()?)?,
        };
        Ok(terms.f_sum(None)?.f_mul_scalar(0.5)?)
    }

    /// One draw of the latents per user, `[users, facets, dimensions]`.
    fn sample(&self, encoded: &Encoded, batch: &BatchInput<'_>, step: u64) -> Result<Tensor> {
        let (facets, dimensions) = (self.config.facets, self.config.dimensions);
        let noise = self.place.bring(&self.noise.latent(step, batch.user_keys, facets * dimensions)?)?;
        let noise = noise.f_reshape([-1, facets as i64, dimensions as i64])?;
        let deviation = encoded.log_variance.f_mul_scalar(0.5)?.f_exp()?;
        let (mean, spread) = match self.config.likelihood {
            Likelihood::Multinomial => {
                (normalise(&encoded.mean)?, deviation.f_mul_scalar(self.config.prior_deviation)?)
            }
            Likelihood::Gaussian { .. } => (encoded.mean.shallow_clone(), deviation),
        };
        Ok(mean.f_add(&noise.f_mul(&spread)?)?)
    }

    fn multinomial(
        &mut self,
        batch: &BatchInput<'_>,
        latents: &Tensor,
        directions: &Tensor,
        routing: &Tensor,
    ) -> Result<(Tensor, f64)> {
        let latents = normalise(latents)?.f_transpose(0, 1)?.f_contiguous()?;
        let plan = self.plan.unwrap_or_else(|| {
            Plan::for_shape(batch.users(), self.config.facets, self.config.items, self.place.kind)
        });
        let targets = Targets::new(batch, self.config.items, plan.block, self.place)?;
        let decoder = multinomial::Decoder {
            latents: &latents.f_detach()?,
            items: &directions.f_detach()?,
            log_routing: &routing.f_detach()?,
            temperature: self.config.temperature,
        };
        let gradients = decoder.gradients(&targets, plan, &mut self.workspace)?;
        let surrogate = linear(&[
            (&latents, &gradients.latents),
            (directions, &gradients.items),
            (routing, &gradients.log_routing),
        ])?;
        Ok((surrogate, gradients.negative_log_likelihood))
    }

    fn gaussian(
        &mut self,
        batch: &BatchInput<'_>,
        latents: &Tensor,
        routing: &Tensor,
        variance_floor: f64,
    ) -> Result<(Tensor, f64)> {
        let block = match self.plan {
            Some(plan) => plan.block,
            None => gaussian::block_for_shape(batch.users(), self.config.items, self.place.kind),
        };
        let targets = Targets::new(batch, self.config.items, block, self.place)?;
        let shares = routing.f_exp()?.f_transpose(0, 1)?.f_contiguous()?;
        let (mean, mean_bias) = (self.parameters.get(Role::Mean)?, self.parameters.get(Role::MeanBias)?);
        let (variance, variance_bias) =
            (self.parameters.get(Role::Variance)?, self.parameters.get(Role::VarianceBias)?);
        let decoder = gaussian::Decoder {
            latents: &latents.f_detach()?,
            shares: &shares.f_detach()?,
            mean: gaussian::Layer { weight: &mean.f_detach()?, bias: &mean_bias.f_detach()? },
            variance: gaussian::Layer { weight: &variance.f_detach()?, bias: &variance_bias.f_detach()? },
            variance_floor,
        };
        let gradients = decoder.gradients(&targets, block, &mut self.workspace)?;
        // Here the items' directions and the prototypes are read by the routing alone, and learn through the shares.
        let surrogate = linear(&[
            (latents, &gradients.latents),
            (&shares, &gradients.shares),
            (mean, &gradients.mean.weight),
            (mean_bias, &gradients.mean.bias),
            (variance, &gradients.variance.weight),
            (variance_bias, &gradients.variance.bias),
        ])?;
        Ok((surrogate, gradients.negative_log_likelihood))
    }
}

/// A scalar with the given gradients: backward through autograd, so that whoever listens for gradients hears of them.
fn linear(pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (tensor, gradient) in pairs {
        let term = tensor.f_mul(gradient)?.f_sum(None)?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&term)?,
            None => term,
        });
    }
    sum.ok_or_else(|| ModelError::Configuration("a likelihood without gradients".into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
