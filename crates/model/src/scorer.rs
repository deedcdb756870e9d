//! Recommendations: users' items to the best items of the catalogue, in memory that depends on neither's number beyond
//! one batch and one block.

use tch::{Device, Kind, Tensor};

use crate::batch::BatchInput;
use crate::catalogue::{Catalogue, Compression, Items};
use crate::cold;
use crate::config::{Config, Likelihood};
use crate::dense::{self, Workspace};
use crate::encoder::{Encoder, History, Strategy};
use crate::error::{ModelError, Result};
use crate::measures::Shares;
use crate::parameters::{Constant, Parameters, Role};
use crate::place::Place;
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

/// What is known of items that nobody trains with.
struct Cold<'a> {
    contents: &'a Tensor,
    /// `[items]`: 1 where an item has content, else 0.
    known: Tensor,
    counts: &'a Tensor,
}

impl<'a> Cold<'a> {
    fn of(parameters: &'a Parameters) -> Result<Self> {
        let known = parameters.constant(Constant::Known)?.f_amax(0_i64, false)?;
        let counts = parameters.constant(Constant::Counts)?;
        Ok(Self { contents: parameters.constant(Constant::Contents)?, known, counts })
    }

    /// What would be learnt of them where this is learnt of trained items.
    fn rows(&self, learnt: &Tensor) -> Result<Tensor> {
        cold::rows(self.contents, &self.known, self.counts, learnt)
    }

    /// Those of `allowed`, or all, of which anything is known.
    fn readable(&self, trained: usize, allowed: Option<&[i64]>) -> Result<Vec<i64>> {
        let known = self.known.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0.0_f32; known.numel()];
        known.f_copy_data(&mut numbers, known.numel())?;
        // What isn't there at all is refused by name later on.
        let readable = |item: &i64| {
            let place = usize::try_from(*item).unwrap_or(0);
            place < trained || numbers.get(place).is_none_or(|known| *known > 0.5)
        };
        Ok(match allowed {
            Some(allowed) => allowed.iter().copied().filter(readable).collect(),
            None => (0..numbers.len() as i64).filter(readable).collect(),
        })
    }
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
        let shares = self.encoder.shares().f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut values = vec![0.0; self.config.items * self.config.facets];
        let length = values.len();
        shares.f_copy_data(&mut values, length)?;
        Shares::new(self.config.facets, values)
    }

    /// The mean of all items' shares of the facets.
    pub fn mean_shares(&self) -> Result<Vec<f64>> {
        let mean = self.encoder.shares().f_mean_dim(Some([0_i64].as_slice()), false, Kind::Double)?;
        let mean = mean.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut values = vec![0.0; self.config.facets];
        mean.f_copy_data(&mut values, self.config.facets)?;
        Ok(values)
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
        let largest = rows.f_argmax(1, false)?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut facets = vec![0_i64; items.len()];
        largest.f_copy_data(&mut facets, items.len())?;
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
        let places = centred.f_matmul(&directions)?.f_mul(&signs)?.f_contiguous()?;
        let mut values = vec![0.0; items * axes as usize];
        let length = values.len();
        places.f_copy_data(&mut values, length)?;
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
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::vae::FacetVae;

    const ITEMS: usize = 37;
    const BATCH: BatchInput<'static> =
        BatchInput { offsets: &[0, 3, 4, 4], items: &[30, 2, 17, 9], weights: None, user_keys: &[1, 2, 3] };

    fn model(likelihood: Likelihood) -> FacetVae {
        FacetVae::new(Config {
            items: ITEMS,
            facets: 3,
            dimensions: 5,
            likelihood,
            temperature: 0.2,
            prior_deviation: 0.1,
            dropout: 0.5,
            kl_weight: 0.2,
            kl_anneal_steps: 0,
            seed: 4,
            content: None,
        })
        .unwrap()
    }

    /// Everything scored and sorted at once: per user, `(item, score, facet)` by the formulas as they are written.
    fn dense(model: &FacetVae, batch: &BatchInput<'_>) -> Vec<Vec<(u32, f32, u32)>> {
        let _guard = tch::no_grad_guard();
        let parameter = |name: &str| &model.parameters().iter().find(|(own, _)| own == name).unwrap().1;
        let items = normalise(parameter("item.directions")).unwrap();
        let prototypes = normalise(parameter("facet.prototypes")).unwrap();
        let shares = (prototypes.matmul(&items.transpose(0, 1)) / 0.2).softmax(0, None);
        let mut seen = vec![0.0_f32; batch.users() * ITEMS];
        for user in 0..batch.users() {
            for &item in batch.items_of(user) {
                seen[user * ITEMS + item as usize] = 1.0;
            }
        }
        let input = Tensor::from_slice(&seen).view([-1, 1, ITEMS as i64]) * shares.unsqueeze(0);
        let input = normalise(&input).unwrap();
        let hidden = input.matmul(parameter("encoder.input.weight")) + parameter("encoder.input.bias");
        let output = hidden.tanh().matmul(&parameter("encoder.output.weight").transpose(0, 1));
        let mean = (output + parameter("encoder.output.bias")).narrow(2, 0, 5);
        let (parts, scores) = match model.config().likelihood {
            Likelihood::Multinomial => {
                let cosines = normalise(&mean).unwrap().matmul(&items.transpose(0, 1));
                let parts = (cosines / 0.2).exp() * shares.unsqueeze(0);
                let scores = parts.sum_dim_intlist(1, false, None).log();
                (parts, scores)
            }
            Likelihood::Gaussian { .. } => {
                let parts = mean.matmul(&parameter("decoder.mean.weight").transpose(0, 1)) * shares.unsqueeze(0);
                let scores = parts.sum_dim_intlist(1, false, None) + parameter("decoder.mean.bias");
                (parts, scores)
            }
        };
        let facets = parts.argmax(1, false);
        (0..batch.users() as i64)
            .map(|user| {
                let scores: Vec<f32> = Vec::try_from(scores.get(user)).unwrap();
                let facets: Vec<i64> = Vec::try_from(facets.get(user)).unwrap();
                let mut list: Vec<(u32, f32, u32)> = (0..)
                    .zip(scores)
                    .zip(facets)
                    .map(|((item, score), facet)| (item, score, facet as u32))
                    .collect();
                list.sort_by(|left, right| right.1.total_cmp(&left.1));
                list
            })
            .collect()
    }

    #[rstest]
    fn lists_equal_the_head_of_a_full_sort(
        #[values(Likelihood::Multinomial, Likelihood::Gaussian { variance_floor: 0.01 })] likelihood: Likelihood,
        #[values(1, 7, 37, 100)] block: usize,
        #[values(1, 10, 50)] top_k: usize,
        #[values(false, true)] exclude_seen: bool,
        #[values(None, Some(&[36_i64, 2, 9, 11, 12, 13, 2][..]))] allowed: Option<&[i64]>,
    ) {
        let model = model(likelihood);
        let mut scorer = model.scorer(allowed).unwrap();
        scorer.block = Some(block);
        let lists = scorer.recommend(&BATCH, top_k, exclude_seen).unwrap();
        for (user, (list, mut expected)) in lists.iter().zip(dense(&model, &BATCH)).enumerate() {
            expected.retain(|&(item, ..)| {
                let item = i64::from(item);
                allowed.is_none_or(|allowed| allowed.contains(&item))
                    && !(exclude_seen && BATCH.items_of(user).contains(&item))
            });
            expected.truncate(top_k);
            assert_eq!(list.len(), expected.len());
            for (actual, (item, score, facet)) in list.iter().zip(expected) {
                assert_eq!((actual.item, actual.facet), (item, facet));
                assert!((actual.score - score).abs() < 1e-4, "{} {score}", actual.score);
            }
        }
    }

    #[rstest]
    fn what_a_model_knows_of_items_and_users_is_what_it_scores_by(
        #[values(Likelihood::Multinomial, Likelihood::Gaussian { variance_floor: 0.01 })] likelihood: Likelihood,
    ) {
        let model = model(likelihood);
        let scorer = model.scorer(Some(&[3, 4])).unwrap();
        let parameter = |name: &str| &model.parameters().iter().find(|(own, _)| own == name).unwrap().1;
        let _guard = tch::no_grad_guard();
        let items = normalise(parameter("item.directions")).unwrap();
        let prototypes = normalise(parameter("facet.prototypes")).unwrap();
        let expected: Vec<f64> =
            Vec::try_from((items.matmul(&prototypes.transpose(0, 1)) / 0.2).softmax(1, None).reshape([-1]))
                .unwrap();
        let shares = scorer.item_shares().unwrap();
        assert_eq!((shares.rows(), shares.columns()), (ITEMS, 3));
        for (item, expected) in expected.chunks(3).enumerate() {
            assert!(shares.row(item).iter().zip(expected).all(|(share, other)| (share - other).abs() < 1e-5));
        }
        let mean = scorer.mean_shares().unwrap();
        assert!(mean.iter().zip(shares.mean()).all(|(own, other)| (own - other).abs() < 1e-6));
        assert_eq!(scorer.facets_of(&[7, 0]).unwrap(), [shares.largest(7), shares.largest(0)]);
        assert!(scorer.facets_of(&[ITEMS as i64]).is_err());
        let latents = scorer.latents(&BATCH).unwrap();
        assert_eq!(latents.size(), [3, 3, 5]);
        if likelihood == Likelihood::Multinomial {
            let lengths = latents.square().sum_dim_intlist(2, false, None);
            assert!(f64::try_from((lengths - 1.0).abs().max()).unwrap() < 1e-5);
        }
        assert_eq!(latents, model.scorer(None).unwrap().latents(&BATCH).unwrap());
    }

    #[test]
    fn a_plane_of_items_has_their_largest_differences() {
        let model = model(Likelihood::Gaussian { variance_floor: 0.01 });
        let weights = model.parameters().iter().find(|(name, _)| name == "decoder.mean.weight").unwrap().1.detach();
        let _guard = tch::no_grad_guard();
        let _ = weights.shallow_clone().zero_();
        // Items differ by their numbers along one direction, and a little by their parity along another.
        for item in 0..ITEMS as i64 {
            let _ = weights.get(item).get(3).fill_(item as f64);
            let _ = weights.get(item).get(1).fill_((item % 2) as f64);
        }
        let plane = model.scorer(None).unwrap().item_plane(20).unwrap();
        assert_eq!(plane.len(), 20);
        assert!(plane.windows(2).all(|pair| (pair[1].0 - pair[0].0 - 1.0).abs() < 0.1), "{plane:?}");
        assert!(plane.windows(2).all(|pair| ((pair[1].1 - pair[0].1).abs() - 1.0).abs() < 0.1), "{plane:?}");
    }

    #[test]
    fn shuffled_facets_are_those_of_other_items() {
        let model = model(Likelihood::Multinomial);
        let rows = |scorer: &Scorer| -> Vec<String> {
            let shares = scorer.item_shares().unwrap();
            (0..ITEMS).map(|item| format!("{:.6?}", shares.row(item))).collect()
        };
        let (mut own, mut shuffled) =
            (rows(&model.scorer(None).unwrap()), rows(&model.scorer_with_shuffled_facets(7).unwrap()));
        assert_ne!(own, shuffled);
        own.sort_unstable();
        shuffled.sort_unstable();
        assert_eq!(own, shuffled);
    }

    fn compressed(model: &FacetVae, facets_per_item: Option<usize>, quantised: bool) -> Scorer {
        let compression = Compression { facets_per_item, quantised };
        model.scorer_with(&ScorerOptions { compression, ..ScorerOptions::default() }).unwrap()
    }

    #[rstest]
    #[case(Likelihood::Multinomial)]
    #[case(Likelihood::Gaussian { variance_floor: 0.01 })]
    fn facets_that_are_all_kept_and_numbers_of_eight_bits_change_scores_little(#[case] likelihood: Likelihood) {
        let model = model(likelihood);
        let scores = |scorer: &mut Scorer, block: usize| -> Vec<Vec<(u32, f32)>> {
            scorer.block = Some(block);
            let lists = scorer.recommend(&BATCH, ITEMS, false).unwrap();
            let of = |list: Vec<Recommendation>| {
                let mut own: Vec<(u32, f32)> = list.iter().map(|one| (one.item, one.score)).collect();
                own.sort_by_key(|(item, _)| *item);
                own
            };
            lists.into_iter().map(of).collect()
        };
        let expected = scores(&mut model.scorer(None).unwrap(), 37);
        for (facets, quantised, block, bound) in [
            (Some(3), false, 37, 1e-5),
            (Some(3), false, 10, 1e-5),
            (None, true, 16, 0.1),
            (Some(9), true, 16, 0.1),
        ] {
            let found = scores(&mut compressed(&model, facets, quantised), block);
            for ((item, score), (other, expected)) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert_eq!(item, other);
                assert!((score - expected).abs() < bound, "{facets:?} {quantised}: {score} instead of {expected}");
            }
        }
    }

    #[test]
    fn an_item_of_one_facet_serves_it_alone() {
        let model = model(Likelihood::Multinomial);
        let mut scorer = compressed(&model, Some(1), false);
        let lists = scorer.recommend(&BATCH, 10, true).unwrap();
        let items: Vec<i64> = lists.iter().flatten().map(|one| i64::from(one.item)).collect();
        let served: Vec<usize> = lists.iter().flatten().map(|one| one.facet as usize).collect();
        assert_eq!(scorer.facets_of(&items).unwrap(), served);
        assert!(lists.iter().flatten().all(|one| one.score.is_finite()));
        assert_eq!(scorer.explain(&BATCH, &lists, 2).unwrap().len(), 3);
    }

    #[test]
    fn a_scorer_keeps_the_parameters_it_was_made_with() {
        let model = model(Likelihood::Multinomial);
        let mut scorer = model.scorer(None).unwrap();
        let before = scorer.recommend(&BATCH, 5, true).unwrap();
        for (_, parameter) in model.parameters() {
            let _ = parameter.detach().fill_(0.5);
        }
        assert_eq!(scorer.recommend(&BATCH, 5, true).unwrap(), before);
    }

    #[test]
    fn a_users_list_does_not_depend_on_its_neighbours() {
        let mut scorer = model(Likelihood::Multinomial).scorer(None).unwrap();
        let together = scorer.recommend(&BATCH, 5, true).unwrap();
        let alone = BatchInput { offsets: &[0, 1], items: &[9], weights: None, user_keys: &[77] };
        let list = &scorer.recommend(&alone, 5, true).unwrap()[0];
        let items = |list: &[Recommendation]| list.iter().map(|one| one.item).collect::<Vec<_>>();
        assert_eq!(items(list), items(&together[1]));
    }

    #[test]
    fn no_users_and_no_places_are_no_failure() {
        let mut scorer = model(Likelihood::Multinomial).scorer(None).unwrap();
        let nobody = BatchInput { offsets: &[0], items: &[], weights: None, user_keys: &[] };
        assert!(scorer.recommend(&nobody, 5, true).unwrap().is_empty());
        assert_eq!(scorer.recommend(&BATCH, 0, true).unwrap(), vec![Vec::new(); 3]);
        let mut empty = model(Likelihood::Multinomial).scorer(Some(&[])).unwrap();
        assert_eq!(empty.recommend(&BATCH, 5, true).unwrap(), vec![Vec::new(); 3]);
    }

    #[rstest]
    #[case(&[0, 37])]
    #[case(&[-1, 3])]
    fn an_allowed_item_outside_the_catalogue_is_refused(#[case] allowed: &[i64]) {
        assert!(matches!(model(Likelihood::Multinomial).scorer(Some(allowed)), Err(ModelError::Input(_))));
    }
}
