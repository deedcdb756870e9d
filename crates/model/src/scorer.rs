//! Recommendations: users' items to the best items of the catalogue, in memory that depends on neither's number beyond
//! one batch and one block.

use tch::{Device, Kind, Tensor};

use crate::batch::BatchInput;
use crate::catalogue::{Catalogue, Compression, Items};
use crate::cold::Cold;
use crate::config::{Config, Likelihood};
use crate::dense::{self, Workspace};
use crate::encoder::{Encoder, History, Strategy};
use crate::error::{ModelError, Result};
use crate::measures::Shares;
use crate::parameters::{Parameters, Role};
use crate::place::{Place, read_numbers};
use crate::routing::{Router, normalise};
use crate::top_k::TopK;

/// Bytes of one block of scores before they are summed over facets.
const BLOCK_BYTES: usize = 8 << 20;

/// One recommended item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    /// Index of the item. Items that nobody trains with come behind the others.
    pub item: u32,
    /// Higher is better; comparable between the items of one user only. Multinomial: the unnormalised logarithm of the
    /// item's probability. Gaussian: the mean.
    pub score: f32,
    /// The facet that contributes most to the score: which interest the item serves.
    pub facet: u32,
}

/// What a scorer recommends, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScorerOptions<'a> {
    /// Items that may be recommended, in any order; unset means all.
    pub allowed: Option<&'a [i64]>,
    /// Whether items that nobody trains with, behind the others, are among them: what training would have learnt of them is
    /// told by their contents. Those without content are never recommended.
    pub cold_items: bool,
    /// What is given up for less memory and time.
    pub compression: Compression,
}

/// Scores users with a model's parameters as they were when it was made.
#[derive(Debug)]
pub struct Scorer {
    pub(crate) config: Config,
    /// The parameters'.
    pub(crate) place: Place,
    pub(crate) encoder: Encoder,
    pub(crate) catalogue: Catalogue,
    workspace: Workspace,
    scores: Vec<f32>,
    /// Items of a block; unset means by the size of the batch.
    block: Option<usize>,
}

impl Scorer {
    /// Each item has the facets of the one that `order` names in its place; unset means its own.
    pub(crate) fn new(
        config: &Config,
        parameters: &Parameters,
        strategy: Strategy,
        options: &ScorerOptions<'_>,
        order: Option<&[i64]>,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let is_cold = options.cold_items && config.all_items() > config.items;
        let cold = is_cold.then(|| Cold::of(parameters)).transpose()?;
        let with_cold = |learnt: Tensor| match &cold {
            Some(cold) => Ok(Tensor::f_cat(&[&learnt, &cold.rows(&learnt)?], 0)?),
            None => Ok::<_, ModelError>(learnt),
        };
        let learnt = normalise(parameters.get(Role::Items)?)?;
        let directions = match &cold {
            Some(cold) => Tensor::f_cat(&[&learnt, &normalise(&cold.rows(&learnt)?)?], 0)?,
            None => learnt,
        };
        let mut log_routing = Router::new(config, parameters, &directions)?.log_shares(None)?;
        if let Some(order) = order {
            log_routing = log_routing.f_index_select(1, &Place::of(&log_routing)?.indices(order)?)?;
        }
        let own_routing = log_routing.f_narrow(1, 0, config.items as i64)?;
        let (vectors, bias) = match config.likelihood {
            Likelihood::Multinomial => (directions, None),
            Likelihood::Gaussian { .. } => {
                let bias = with_cold(parameters.get(Role::MeanBias)?.f_unsqueeze(1)?)?.f_squeeze_dim(1)?;
                (with_cold(parameters.get(Role::Mean)?.shallow_clone())?, Some(bias))
            }
        };
        let readable = cold.map(|cold| cold.readable(config.items, options.allowed)).transpose()?;
        let allowed = readable.as_deref().or(options.allowed);
        let catalogue = Catalogue::new(&Items { vectors, bias, log_routing }, allowed, options.compression)?;
        Ok(Self {
            config: config.clone(),
            place: Place::of(&own_routing)?,
            encoder: Encoder::frozen(config, parameters, &own_routing, strategy)?,
            catalogue,
            workspace: Workspace::default(),
            scores: Vec::new(),
            block: None,
        })
    }

    /// The best `top_k` items of each user, best first; fewer where the catalogue has no more. Of equal scores the
    /// smaller item comes first. Dropout and noise are off. Batches of 256 to 1024 users are fastest.
    pub fn recommend(
        &mut self,
        batch: &BatchInput<'_>,
        top_k: usize,
        exclude_seen: bool,
    ) -> Result<Vec<Vec<Recommendation>>> {
        if exclude_seen {
            return self.recommend_without(batch, batch, top_k);
        }
        let nothing = vec![0; batch.users() + 1];
        self.recommend_without(batch, &BatchInput { offsets: &nothing, items: &[], weights: None, ..*batch }, top_k)
    }

    /// The same without the items of `excluded`, which has as many users: what a person has is more than what the model is
    /// told of them.
    ///
    /// # Errors
    /// [`ModelError::Input`] where both don't fit together.
    pub fn recommend_without(
        &mut self,
        batch: &BatchInput<'_>,
        excluded: &BatchInput<'_>,
        top_k: usize,
    ) -> Result<Vec<Vec<Recommendation>>> {
        batch.validate(self.config.items)?;
        excluded.validate(self.catalogue.universe)?;
        if excluded.users() != batch.users() {
            let (users, others) = (batch.users(), excluded.users());
            return Err(ModelError::Input(format!("{users} users, and what {others} have")));
        }
        if batch.users() == 0 {
            return Ok(Vec::new());
        }
        let _guard = tch::no_grad_guard();
        let latents = self.decoded(batch)?;
        let best = self.best(&latents, batch.users(), top_k, &self.catalogue.columns(excluded))?;
        self.with_facets(&latents, best)
    }

    /// How many items may be recommended.
    pub fn recommendable(&self) -> usize {
        self.catalogue.size
    }

    /// Users as the decoder takes them.
    fn decoded(&self, batch: &BatchInput<'_>) -> Result<Tensor> {
        let latents = self.encode(batch)?;
        match self.config.likelihood {
            Likelihood::Multinomial => Ok(latents.f_transpose(0, 1)?.f_contiguous()?),
            Likelihood::Gaussian { .. } => Ok(latents),
        }
    }

    /// What the model knows of each user, `[users, facets, dimensions]`, on the processor: a vector for each facet, of
    /// length 1 with the multinomial likelihood. Dropout and noise are off.
    pub fn latents(&self, batch: &BatchInput<'_>) -> Result<Tensor> {
        batch.validate(self.config.items)?;
        let _guard = tch::no_grad_guard();
        Ok(self.encode(batch)?.f_to_device(Device::Cpu)?)
    }

    /// Each item's shares of the facets.
    pub fn item_shares(&self) -> Result<Shares> {
        Shares::new(self.config.facets, read_numbers(self.encoder.shares())?)
    }

    /// The mean of all items' shares of the facets.
    pub fn mean_shares(&self) -> Result<Vec<f64>> {
        read_numbers(&self.encoder.shares().f_mean_dim(Some([0_i64].as_slice()), false, Kind::Double)?)
    }

    /// The facet that each of these items has most of.
    pub fn facets_of(&self, items: &[i64]) -> Result<Vec<usize>> {
        if items.iter().any(|item| *item < 0 || *item >= self.config.items as i64) {
            return Err(ModelError::Input(format!("an item is none of the model's {}", self.config.items)));
        }
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.encoder.shares().f_index_select(0, &self.place.indices(items)?)?;
        let facets: Vec<i64> = read_numbers(&rows.f_argmax(1, false)?)?;
        Ok(facets.into_iter().map(|facet| facet as usize).collect())
    }

    /// The first `most` items in a plane: the two main directions (principal components) of the vectors that recommend
    /// them. Fewer than two directions leave zeros.
    pub fn item_plane(&self, most: usize) -> Result<Vec<(f64, f64)>> {
        let _guard = tch::no_grad_guard();
        let items = most.min(self.catalogue.size);
        if items == 0 {
            return Ok(Vec::new());
        }
        let columns: Vec<i64> = (0..items as i64).collect();
        let vectors = self
            .catalogue
            .vectors(&self.place.indices(&columns)?)?
            .f_to_kind(Kind::Double)?
            .f_to_device(Device::Cpu)?;
        let centred = vectors.f_sub(&vectors.f_mean_dim(Some([0_i64].as_slice()), true, Kind::Double)?)?;
        let (_, lengths, directions) = centred.f_svd(true, true)?;
        let axes = lengths.size()[0].min(2);
        let directions = directions.f_narrow(1, 0, axes)?;
        // A direction and its opposite are as good: the one whose largest part is positive is taken, always the same.
        let largest = directions.f_abs()?.f_argmax(0, true)?;
        let signs = directions.f_gather(0, &largest, false)?.f_sign()?;
        let values: Vec<f64> = read_numbers(&centred.f_matmul(&directions)?.f_mul(&signs)?)?;
        Ok(values.chunks(axes as usize).map(|place| (place[0], place.get(1).copied().unwrap_or(0.0))).collect())
    }

    fn encode(&self, batch: &BatchInput<'_>) -> Result<Tensor> {
        self.to_latents(&self.encoder.encode(&History::complete(batch, self.place)?)?.mean)
    }

    /// What the decoder reads of the encoder's means.
    pub(crate) fn to_latents(&self, means: &Tensor) -> Result<Tensor> {
        match self.config.likelihood {
            Likelihood::Multinomial => normalise(means),
            Likelihood::Gaussian { .. } => Ok(means.f_contiguous()?),
        }
    }

    /// The best columns of the catalogue per user.
    fn best(
        &mut self,
        latents: &Tensor,
        users: usize,
        top_k: usize,
        seen: &[Vec<u32>],
    ) -> Result<Vec<Vec<(f32, u32)>>> {
        let mut top: Vec<TopK> = (0..users).map(|_| TopK::new(top_k)).collect();
        let mut next_seen = vec![0_usize; users];
        let width = match self.config.likelihood {
            Likelihood::Multinomial => users * self.config.facets,
            Likelihood::Gaussian { .. } => users,
        };
        let block = self.block.unwrap_or_else(|| (BLOCK_BYTES / (width * size_of::<f32>())).clamp(128, 4096));
        for (start, length) in dense::blocks(self.catalogue.size, block) {
            let width = length as usize;
            self.scores.resize(users * width, 0.0);
            let Self { catalogue, config, workspace, scores, .. } = self;
            catalogue.scores_into(config, latents, (start, length), workspace, scores)?;
            let rows = self.scores.chunks_exact_mut(width).zip(&mut top).zip(seen.iter().zip(&mut next_seen));
            for ((row, top), (seen, next)) in rows {
                while let Some(column) = seen.get(*next).filter(|&&column| i64::from(column) < start + length) {
                    row[*column as usize - start as usize] = f32::NEG_INFINITY;
                    *next += 1;
                }
                top.extend(start as u32, row);
            }
        }
        Ok(top.into_iter().map(TopK::into_sorted).collect())
    }

    /// Adds the facet that each recommended item serves.
    fn with_facets(&self, latents: &Tensor, best: Vec<Vec<(f32, u32)>>) -> Result<Vec<Vec<Recommendation>>> {
        let longest = best.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(best.iter().map(|_| Vec::new()).collect());
        }
        // Short lists are filled up with column 0, whose facets nobody reads.
        let columns: Vec<i64> = best
            .iter()
            .flat_map(|list| (0..longest).map(|place| list.get(place).map_or(0, |&(_, column)| i64::from(column))))
            .collect();
        let columns = self.place.indices(&columns)?;
        let facets = self.catalogue.serving_facets(&self.config, latents, &columns, longest as i64)?;
        let served = best.into_iter().zip(facets.chunks_exact(longest));
        Ok(served
            .map(|(list, facets)| {
                let recommend = |((score, column), &facet): ((f32, u32), &i64)| Recommendation {
                    item: self.catalogue.item(column),
                    score: match self.config.likelihood {
                        Likelihood::Multinomial => score.ln() + (1.0 / self.config.temperature) as f32,
                        Likelihood::Gaussian { .. } => score,
                    },
                    facet: facet as u32,
                };
                list.into_iter().zip(facets).map(recommend).collect()
            })
            .collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
