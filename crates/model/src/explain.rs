//! Which items of a history a recommendation comes from.
//!
//! A recommendation serves a facet. How much an item of the history adds to it is the facet's part of the score less what
//! that part would be if the item weren't in the history (leave-one-out): computed exactly, through the facet's encoder,
//! and not by a gradient, which says nothing of a history of one item, since the encoder scales histories to one length.
//! Everything but that length is linear in the history up to the first layer, so leaving an item out of a facet is one
//! subtraction, and costs what it costs to encode one facet of one more user.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::batch::BatchInput;
use crate::encoder::{History, Parts};
use crate::error::{ModelError, Result};
use crate::place::{read_numbers, read_numbers_into};
use crate::scorer::{Recommendation, Scorer};

/// The most items of a history that are left out of a facet: those with the largest parts of its input.
const MOST_LEFT_OUT: usize = 32;
/// Smallest part of a facet's squared input that is left out at all: below, an item is as good as not in the facet.
const SMALLEST_PART: f64 = 1e-6;
/// Smallest rest, as a part of all, that a subtraction leaves enough digits of. Below, the rest is encoded by itself.
const SMALLEST_REST: f64 = 1e-6;
/// Users whose histories are taken apart at once: few, so that their numbers stay in the processor's cache.
const USERS: usize = 8;

/// An item of a history and what it adds to a recommendation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// The item of the history.
    pub item: u32,
    /// By how much the serving facet's part of the score would be less without it, above 0. Multinomial: of the part's
    /// logarithm, `cos(z_k, t_i) / temperature`.
    pub score: f32,
}

/// A row of [`Parts`] that is encoded by itself.
struct Afresh {
    row: usize,
    user: usize,
    facet: usize,
    /// The entry of the batch that is left out.
    entry: usize,
}

/// A user's facet that serves recommendations.
struct Served {
    /// Rows of [`Parts`]: the whole history first, then one for each item that is left out.
    rows: std::ops::Range<usize>,
    /// `(user, place in the list)` of what it serves.
    places: Vec<(usize, usize)>,
}

impl Scorer {
    /// The items of each user's history that add most to each of `lists`' recommendations, most first, `most` of them at
    /// most: `[user][place][contribution]`. `lists` are what [`Scorer::recommend`] made of the same batch. Only items that
    /// add something are listed, so there may be none.
    ///
    /// # Errors
    /// [`ModelError::Input`] where lists and batch don't belong together.
    pub fn explain(
        &self,
        batch: &BatchInput<'_>,
        lists: &[Vec<Recommendation>],
        most: usize,
    ) -> Result<Vec<Vec<Vec<Contribution>>>> {
        batch.validate(self.config.items)?;
        if lists.len() != batch.users() {
            return Err(ModelError::Input(format!("{} lists of {} users", lists.len(), batch.users())));
        }
        let _guard = tch::no_grad_guard();
        let mut explained: Vec<Vec<_>> = lists.iter().map(|list| vec![Vec::new(); list.len()]).collect();
        for start in (0..batch.users()).step_by(USERS) {
            let end = (start + USERS).min(batch.users());
            self.explain_users(&batch.slice(start..end), &lists[start..end], most, &mut explained[start..end])?;
        }
        Ok(explained)
    }

    fn explain_users(
        &self,
        batch: &BatchInput<'_>,
        lists: &[Vec<Recommendation>],
        most: usize,
        explained: &mut [Vec<Vec<Contribution>>],
    ) -> Result<()> {
        let (parts, served, afresh) = self.parts(batch, lists)?;
        if served.is_empty() {
            return Ok(());
        }
        let projected = self.encoder.project(&History::complete(batch, self.place)?)?;
        let means = self.encoder.means_without(&projected, &parts)?;
        self.encode_afresh(batch, &afresh, &means)?;
        let latents = self.to_latents(&means)?;
        let vectors = self.vectors(lists, &served)?;
        let (mut products, mut first) = (Vec::new(), 0);
        for Served { rows, places } in served {
            let own = latents.f_narrow(0, rows.start as i64, rows.len() as i64)?;
            let vectors = vectors.f_narrow(0, first, places.len() as i64)?;
            first += places.len() as i64;
            // `[recommendations, rows]`
            read_numbers_into(&vectors.f_matmul(&own.f_transpose(0, 1)?)?, &mut products)?;
            for ((user, place), products) in places.into_iter().zip(products.chunks(rows.len())) {
                let items = &parts.items[rows.start + 1..rows.end];
                let recommended = i64::from(lists[user][place].item);
                explained[user][place] = largest(products[0], &products[1..], items, recommended, most);
            }
        }
        Ok(())
    }

    /// What is left out of each facet that serves a recommendation.
    fn parts(
        &self,
        batch: &BatchInput<'_>,
        lists: &[Vec<Recommendation>],
    ) -> Result<(Parts, Vec<Served>, Vec<Afresh>)> {
        let (facets, entries) = (self.config.facets, batch.entries());
        let items = self.place.indices(&batch.items[entries.clone()])?;
        let shares: Vec<f32> = read_numbers(&self.encoder.seen().f_index_select(0, &items)?)?;
        let (mut parts, mut served, mut afresh) = (Parts::default(), Vec::new(), Vec::new());
        for (user, list) in lists.iter().enumerate().filter(|(user, _)| !batch.row(*user).is_empty()) {
            let mut places: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
            for (place, recommendation) in list.iter().enumerate() {
                let facet = recommendation.facet as usize;
                if facet >= facets {
                    return Err(ModelError::Input(format!("facet {facet} of {facets}")));
                }
                places.entry(facet).or_default().push((user, place));
            }
            let row = batch.row(user);
            for (facet, places) in places {
                let weighted: Vec<f32> = row
                    .clone()
                    .map(|entry| batch.weight(entry) * shares[(entry - entries.start) * facets + facet])
                    .collect();
                let weighted = |entry: usize| weighted[entry - row.start];
                let square = |entry: usize| f64::from(weighted(entry)).powi(2);
                let whole: f64 = row.clone().map(square).sum();
                let mut left_out: Vec<usize> =
                    row.clone().filter(|entry| square(*entry) > SMALLEST_PART * whole).collect();
                if left_out.len() > MOST_LEFT_OUT {
                    left_out.select_nth_unstable_by(MOST_LEFT_OUT, |left, right| {
                        weighted(*right).total_cmp(&weighted(*left)).then(left.cmp(right))
                    });
                    left_out.truncate(MOST_LEFT_OUT);
                }
                let start = parts.rows.len();
                let row = (user * facets + facet) as i64;
                parts.push(row, 0, 0.0, 0.0, whole);
                for entry in left_out {
                    let rest = whole - square(entry);
                    if rest < SMALLEST_REST * whole {
                        afresh.push(Afresh { row: parts.rows.len(), user, facet, entry });
                    }
                    parts.push(row, batch.items[entry], batch.weight(entry), weighted(entry), rest);
                }
                served.push(Served { rows: start..parts.rows.len(), places });
            }
        }
        Ok((parts, served, afresh))
    }

    /// Puts the means of what is left into these rows, encoded as the histories of so many more users.
    fn encode_afresh(&self, batch: &BatchInput<'_>, afresh: &[Afresh], means: &Tensor) -> Result<()> {
        if afresh.is_empty() {
            return Ok(());
        }
        let (mut offsets, mut items, mut weights) = (vec![0], Vec::new(), Vec::new());
        for part in afresh {
            for entry in batch.row(part.user).filter(|entry| *entry != part.entry) {
                items.push(batch.items[entry]);
                weights.push(batch.weight(entry));
            }
            offsets.push(items.len() as i64);
        }
        let keys = vec![0; afresh.len()];
        let rests = BatchInput { offsets: &offsets, items: &items, weights: Some(&weights), user_keys: &keys };
        let encoded = self.encoder.encode(&History::complete(&rests, self.place)?)?.mean;
        for (index, part) in afresh.iter().enumerate() {
            let mean = encoded.f_get(index as i64)?.f_get(part.facet as i64)?;
            means.f_get(part.row as i64)?.f_copy_(&mean)?;
        }
        Ok(())
    }

    /// What the latents of each recommendation's facet are multiplied with, in the order of `served`.
    fn vectors(&self, lists: &[Vec<Recommendation>], served: &[Served]) -> Result<Tensor> {
        let (mut columns, mut facets) = (Vec::new(), Vec::new());
        for (user, place) in served.iter().flat_map(|served| &served.places) {
            let recommendation = lists[*user][*place];
            let column = self.catalogue.column(i64::from(recommendation.item));
            let unknown = || ModelError::Input(format!("item {} may not be recommended", recommendation.item));
            columns.push(i64::from(
                column.filter(|column| (*column as usize) < self.catalogue.size).ok_or_else(unknown)?,
            ));
            facets.push(i64::from(recommendation.facet));
        }
        let (columns, facets) = (self.place.indices(&columns)?, self.place.indices(&facets)?);
        self.catalogue.parts(&self.config, &columns, &facets)
    }
}

/// The items that add most, of those that add something. What is recommended again is no reason for itself.
fn largest(whole: f32, without: &[f32], items: &[i64], recommended: i64, most: usize) -> Vec<Contribution> {
    let mut found: Vec<Contribution> = Vec::with_capacity(most + 1);
    for (without, item) in without.iter().zip(items).filter(|(_, item)| **item != recommended) {
        let contribution = Contribution { item: *item as u32, score: whole - without };
        let before = |other: &Contribution| {
            other.score > contribution.score || other.score == contribution.score && other.item < contribution.item
        };
        // Few are wanted, so nearly all of them end here.
        if contribution.score > 0.0 && (found.len() < most || !found.last().is_some_and(before)) {
            found.insert(found.partition_point(before), contribution);
            found.truncate(most);
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use tch::{Device, Kind};

    use super::*;
    use crate::config::{Config, ContentConfig, Likelihood};
    use crate::encoder::Strategy;
    use crate::vae::FacetVae;

    /// What training finds alone decides facets, but they see some of the whole history and have biases of their own.
    const CONTENT: ContentConfig =
        ContentConfig { sources: 1, temperature: 0.3, drift: 1.0, context: 0.3, cold_items: 0 };

    fn model(likelihood: Likelihood, strategy: Strategy, content: Option<ContentConfig>) -> FacetVae {
        let mut model = FacetVae::new(Config {
            items: 41,
            facets: 3,
            dimensions: 6,
            likelihood,
            temperature: 0.2,
            prior_deviation: 0.1,
            dropout: 0.5,
            kl_weight: 0.2,
            kl_anneal_steps: 0,
            seed: 4,
            content,
        })
        .unwrap();
        model.strategy = strategy;
        // An untrained bias is nothing, and would hide what a history without any item comes to.
        for (name, parameter) in model.parameters() {
            if name.ends_with("bias") {
                let _guard = tch::no_grad_guard();
                let facet = Tensor::arange(parameter.size()[0], (Kind::Float, Device::Cpu)) * 0.05 + 0.05;
                let own = if name.contains("facet") { facet.unsqueeze(1) } else { Tensor::from(0.05_f32) };
                parameter.shallow_clone().copy_(&own);
            }
        }
        model
    }

    /// A facet's part of an item's score, as far as the user decides it, for a history that is encoded by itself.
    fn part(model: &FacetVae, items: &[i64], weights: &[f32], recommended: Recommendation) -> f32 {
        let _guard = tch::no_grad_guard();
        let offsets = [0, items.len() as i64];
        let batch = BatchInput { offsets: &offsets, items, weights: Some(weights), user_keys: &[1] };
        let scorer = model.scorer(None).unwrap();
        let latents = scorer.latents(&batch).unwrap().get(0).get(i64::from(recommended.facet));
        let parameter = |name: &str| &model.parameters().iter().find(|(own, _)| own == name).unwrap().1;
        let item = i64::from(recommended.item);
        let product = match model.config().likelihood {
            Likelihood::Multinomial => {
                let directions = crate::routing::normalise(parameter("item.directions")).unwrap();
                latents.dot(&directions.get(item)) / 0.2
            }
            Likelihood::Gaussian { .. } => {
                let share = scorer.item_shares().unwrap().row(item as usize)[recommended.facet as usize];
                latents.dot(&parameter("decoder.mean.weight").get(item)) * share
            }
        };
        f32::try_from(product).unwrap()
    }

    /// At a low temperature most items have next to nothing of a facet, and one item makes out nearly all of it.
    #[test]
    fn an_item_that_makes_out_nearly_all_of_a_facet_is_left_out_as_exactly() {
        let mut model = model(Likelihood::Multinomial, Strategy::Table, None);
        model = FacetVae::new(Config { temperature: 0.025, ..model.config().clone() }).unwrap();
        let (items, weights) = ([0_i64, 2, 3], [1.0_f32, 1.0, 1.0]);
        let batch = BatchInput { offsets: &[0, 3], items: &items, weights: Some(&weights), user_keys: &[1] };
        let mut scorer = model.scorer(None).unwrap();
        let shares = scorer.item_shares().unwrap();
        let square = |facet: usize, item: i64| shares.row(item as usize)[facet].powi(2);
        let dominated = (0..3).filter(|facet| {
            let all: f64 = items.iter().map(|item| square(*facet, *item)).sum();
            items.iter().any(|item| all - square(*facet, *item) < SMALLEST_REST * all)
        });
        assert!(dominated.count() > 0, "no facet is dominated: {shares:?}");
        let lists = scorer.recommend(&batch, 38, true).unwrap();
        let explained = scorer.explain(&batch, &lists, 9).unwrap();
        let mut compared = 0;
        for (recommended, found) in lists[0].iter().zip(&explained[0]) {
            let latents = |items: &[i64]| {
                let _guard = tch::no_grad_guard();
                let offsets = [0, items.len() as i64];
                let batch = BatchInput { offsets: &offsets, items, weights: None, user_keys: &[1] };
                let latents = scorer.latents(&batch).unwrap().get(0).get(i64::from(recommended.facet));
                let parameter = &model.parameters().iter().find(|(own, _)| own == "item.directions").unwrap().1;
                let directions = crate::routing::normalise(parameter).unwrap();
                f32::try_from(latents.dot(&directions.get(i64::from(recommended.item)))).unwrap() / 0.025
            };
            for contribution in found {
                let rest: Vec<i64> =
                    items.iter().copied().filter(|item| *item != i64::from(contribution.item)).collect();
                let expected = latents(&items) - latents(&rest);
                assert!((contribution.score - expected).abs() < 1e-2, "{contribution:?} {expected}");
                compared += 1;
            }
        }
        assert!(compared > 10, "{compared}");
    }

    #[rstest]
    fn a_contribution_is_what_the_part_loses_without_the_item(
        #[values(Likelihood::Multinomial, Likelihood::Gaussian { variance_floor: 0.01 })] likelihood: Likelihood,
        #[values(Strategy::Table, Strategy::PerFacet)] strategy: Strategy,
        #[values(None, Some(&[40_i64, 3, 5, 8, 20, 31][..]))] allowed: Option<&[i64]>,
        // Without, what somebody has already is recommended too, and isn't its own reason.
        #[values(true, false)] exclude_seen: bool,
        #[values(None, Some(CONTENT))] content: Option<ContentConfig>,
    ) {
        let model = model(likelihood, strategy, content);
        let histories: [&[i64]; 4] = [&[30, 2, 17, 9, 4], &[], &[9], &[1, 2]];
        let mut offsets = vec![0];
        offsets.extend(histories.iter().scan(0, |end, items| {
            *end += items.len() as i64;
            Some(*end)
        }));
        let items = histories.concat();
        let weights: Vec<f32> = (0..items.len()).map(|entry| 0.5 + entry as f32 / 4.0).collect();
        let batch =
            BatchInput { offsets: &offsets, items: &items, weights: Some(&weights), user_keys: &[1, 2, 3, 4] };
        let mut scorer = model.scorer(allowed).unwrap();
        let lists = scorer.recommend(&batch, 6, exclude_seen).unwrap();
        let explained = scorer.explain(&batch, &lists, 9).unwrap();
        let mut seen = 0;
        for (user, list) in lists.iter().enumerate() {
            let row = batch.row(user);
            for (place, recommended) in list.iter().enumerate() {
                let whole = part(&model, &items[row.clone()], &weights[row.clone()], *recommended);
                let mut expected: Vec<(u32, f32)> = row
                    .clone()
                    .map(|left_out| {
                        let rest: Vec<usize> = row.clone().filter(|entry| *entry != left_out).collect();
                        let others: Vec<i64> = rest.iter().map(|entry| items[*entry]).collect();
                        let weights: Vec<f32> = rest.iter().map(|entry| weights[*entry]).collect();
                        (items[left_out] as u32, whole - part(&model, &others, &weights, *recommended))
                    })
                    .filter(|(item, score)| *score > 0.0 && *item != recommended.item)
                    .collect();
                expected.sort_by(|left, right| right.1.total_cmp(&left.1));
                let found = &explained[user][place];
                let ids: Vec<u32> = found.iter().map(|one| one.item).collect();
                assert_eq!(ids, expected.iter().map(|one| one.0).collect::<Vec<_>>(), "{found:?} {expected:?}");
                for (found, (_, score)) in found.iter().zip(expected) {
                    assert!((found.score - score).abs() < 1e-4, "{found:?} {score}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "{seen}");
    }

    #[test]
    fn of_a_long_history_what_is_tried_is_as_exact() {
        let model = model(Likelihood::Multinomial, Strategy::Table, None);
        let items: Vec<i64> = (0..38).collect();
        let weights: Vec<f32> = items.iter().map(|item| 0.5 + *item as f32 / 40.0).collect();
        let batch = BatchInput { offsets: &[0, 38], items: &items, weights: Some(&weights), user_keys: &[1] };
        let mut scorer = model.scorer(None).unwrap();
        let lists = scorer.recommend(&batch, 3, true).unwrap();
        let explained = scorer.explain(&batch, &lists, 38).unwrap();
        for (recommended, found) in lists[0].iter().zip(&explained[0]) {
            assert!(!found.is_empty() && found.len() <= MOST_LEFT_OUT, "{found:?}");
            let whole = part(&model, &items, &weights, *recommended);
            for contribution in found {
                let others: Vec<usize> = (0..38).filter(|item| *item != contribution.item as usize).collect();
                let rest: Vec<i64> = others.iter().map(|item| *item as i64).collect();
                let rest_weights: Vec<f32> = others.iter().map(|item| weights[*item]).collect();
                let expected = whole - part(&model, &rest, &rest_weights, *recommended);
                assert!((contribution.score - expected).abs() < 1e-4, "{contribution:?} {expected}");
            }
        }
    }

    #[test]
    fn users_of_later_slices_are_explained_like_those_of_the_first() {
        let model = model(Likelihood::Multinomial, Strategy::Table, None);
        let users = 2 * USERS + 3;
        let items: Vec<i64> = (0..users as i64).flat_map(|user| [user % 41, (user * 7 + 1) % 41]).collect();
        let offsets: Vec<i64> = (0..=users as i64).map(|user| 2 * user).collect();
        let keys = vec![1; users];
        let batch = BatchInput { offsets: &offsets, items: &items, weights: None, user_keys: &keys };
        let mut scorer = model.scorer(None).unwrap();
        let lists = scorer.recommend(&batch, 3, true).unwrap();
        let explained = scorer.explain(&batch, &lists, 1).unwrap();
        let last = users - 1;
        let alone =
            BatchInput { offsets: &[0, 2], items: &items[2 * last..], weights: None, user_keys: &keys[..1] };
        let own = scorer.explain(&alone, &lists[last..], 1).unwrap();
        let ids = |explained: &[Vec<Contribution>]| -> Vec<Vec<u32>> {
            explained.iter().map(|one| one.iter().map(|contribution| contribution.item).collect()).collect()
        };
        assert_eq!(ids(&explained[last]), ids(&own[0]));
        assert!(own[0].iter().any(|found| !found.is_empty()));
    }

    #[test]
    fn lists_of_another_batch_are_refused() {
        let scorer = model(Likelihood::Multinomial, Strategy::Table, None).scorer(Some(&[1, 2])).unwrap();
        let batch = BatchInput { offsets: &[0, 1], items: &[9], weights: None, user_keys: &[77] };
        let list = |item, facet| vec![vec![Recommendation { item, score: 0.0, facet }]];
        for lists in [vec![], list(1, 3), list(7, 0)] {
            assert!(matches!(scorer.explain(&batch, &lists, 1), Err(ModelError::Input(_))));
        }
    }
}
