//! What the model's facets are like: the three conditions, their agreement with categories, and what they are good for.

use serde::Serialize;
use tch::Tensor;
use teasel_data::HeldOut;
use teasel_model::measures::{
    Agreement, Completeness, Consistency, Independence, MOST_DIMENSIONS, Shares, agreement, completeness,
    consistency, independence,
};
use teasel_model::metrics::{Metric, mean};
use teasel_model::{Config, FacetVae, ModelError, Scorer};

use super::categories::Categories;
use super::measure::{BATCH_USERS, Rows, measure_all, sample};
use crate::error::TaskError;

/// The most test users that the conditions are measured on.
const MOST_PEOPLE: usize = 5_000;
/// Shuffles of the categories for what agreement comes to by chance.
const PERMUTATIONS: u32 = 200;
/// Training users that an item must have, so that these say something of it.
const FEWEST_CONSUMERS: u64 = 20;
/// Of everything that is shuffled: the same model always has the same measures.
const SEED: u64 = 1;

/// Everything that is measured of facets.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FacetMeasures {
    /// The model's conditions.
    pub(super) conditions: Conditions,
    /// The same of a model of the same shape that hasn't learned anything: what its shape alone comes to.
    pub(super) untrained: Conditions,
    /// What the lists lose where each item has another one's facets: facets that don't matter cost nothing.
    pub(super) shuffled: Shuffled,
    /// How far contents and consumers place items alike, over the most popular items. Unset without content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Consistency>,
}

impl FacetMeasures {
    /// One number for each condition that is defined, and what shuffled facets lose.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (String, f64)> {
        let Conditions { independence, completeness, consistency, agreement, recovery, .. } = &self.conditions;
        let found = [
            ("facets/independence", independence.as_ref().map(|found| found.excess)),
            ("facets/likeness", independence.as_ref().map(|found| found.likeness - found.likeness_floor)),
            ("facets/completeness", completeness.as_ref().map(|found| found.completeness)),
            ("facets/completeness-r2", completeness.as_ref().map(|found| found.r2)),
            ("facets/consistency", consistency.as_ref().map(|found| found.ratio)),
            ("facets/agreement", agreement.as_ref().map(|found| found.adjusted_mutual_information)),
            ("facets/recovery", recovery.as_ref().map(|found| found.agreement.adjusted_mutual_information)),
            ("facets/effective", Some(self.conditions.effective_facets)),
            ("facets/lost-when-shuffled", Some(self.shuffled.lost)),
            ("facets/content-consistency", self.content.as_ref().map(|found| found.ratio)),
        ];
        found.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
}

/// The metric with the model's facets, and with shuffled ones.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shuffled {
    metric: String,
    own: f64,
    shuffled: f64,
    /// Share of the first that is lost with the second.
    lost: f64,
}

/// The three conditions and the agreement of one model. Unset where a measure isn't defined: with one facet, or without
/// categories.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conditions {
    people: usize,
    /// How many facets the items use: the exponential of the entropy of their mean shares.
    effective_facets: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    independence: Option<Independence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<Completeness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<Consistency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Agreement>,
    /// How far facets that are known, as in generated data, were found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
}

/// How far known facets were found again. Unset where nothing of them differs among people.
#[derive(Clone, Debug, Serialize)]
struct Recovery {
    /// For items.
    agreement: Agreement,
    /// For people: completeness, disentanglement and how much is told (DCI).
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Completeness>,
}

/// What facets are measured against.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'a> {
    /// The items' categories.
    pub(super) categories: Option<&'a Categories>,
    /// The facets that they are known to belong to.
    pub(super) known: Option<&'a Categories>,
    /// How many training users each item has.
    pub(super) counts: &'a [u64],
}

/// Measures a model's facets, with its scorer. `own` are its values of `metric` for the test users.
pub(super) async fn measure(
    vae: &FacetVae,
    scorer: &Scorer,
    grounds: Grounds<'_>,
    test: &HeldOut,
    metric: Metric,
    own: &[f64],
) -> Result<FacetMeasures, TaskError> {
    let (people, _) = sample(test, MOST_PEOPLE);
    let conditions = conditions(vae.config(), scorer, grounds, &people).await?;
    let untrained = {
        let untrained = vae.untrained()?;
        self::conditions(vae.config(), &untrained.scorer(None)?, grounds, &people).await?
    };
    let values = measure_all(&mut vae.scorer_with_shuffled_facets(SEED)?, test, &[metric]).await?;
    let (own, shuffled) = (mean(own), values.first().map_or(0.0, |values| mean(values)));
    let lost = if own > 0.0 { 1.0 - shuffled / own } else { 0.0 };
    Ok(FacetMeasures {
        conditions,
        untrained,
        shuffled: Shuffled { metric: metric.to_string(), own, shuffled, lost },
        content: content_consistency(vae, grounds.counts)?,
    })
}

/// Whether items' consumers place them where their contents do, of items with both.
fn content_consistency(vae: &FacetVae, counts: &[u64]) -> Result<Option<Consistency>, TaskError> {
    let Some(placements) = vae.placements()? else { return Ok(None) };
    // Items are numbered by how many people have them.
    let items: Vec<usize> = (0..counts.len())
        .filter(|item| counts[*item] >= FEWEST_CONSUMERS && placements.known[*item])
        .take(MOST_PEOPLE)
        .collect();
    let (content, consumers) = (placements.content.pick(items.clone())?, placements.consumers.pick(items)?);
    Ok(consistency(&content, &consumers)?)
}

async fn conditions(
    config: &Config,
    scorer: &Scorer,
    grounds: Grounds<'_>,
    test: &HeldOut,
) -> Result<Conditions, TaskError> {
    let people = test.keys.len();
    let rows = Rows::of(&test.fold_in, &test.keys, 0..people);
    let items = scorer.item_shares()?;
    let mut found = Conditions {
        people,
        effective_facets: items.effective(),
        independence: None,
        completeness: None,
        consistency: None,
        agreement: None,
        recovery: None,
    };
    if people == 0 {
        return Ok(found);
    }
    // Where it isn't measured, everybody's vectors are many and good for nothing.
    if (config.facets * config.dimensions) as i64 <= MOST_DIMENSIONS {
        let mut latents = Vec::new();
        for start in (0..people).step_by(BATCH_USERS) {
            let batch = Rows::of(&test.fold_in, &test.keys, start..(start + BATCH_USERS).min(people));
            latents.push(scorer.latents(&batch.input())?);
            tokio::task::yield_now().await;
        }
        found.independence = independence(&Tensor::f_cat(&latents, 0).map_err(ModelError::from)?, SEED)?;
        tokio::task::yield_now().await;
    }

    // People who have something in both halves.
    let (first, in_first) = items.of_people(&rows.half(0).input(), Some)?;
    let (second, in_second) = items.of_people(&rows.half(1).input(), Some)?;
    let both = in_first.iter().zip(&in_second).filter_map(|(first, second)| Some(((*first)?, (*second)?)));
    let (in_first, in_second): (Vec<_>, Vec<_>) = both.unzip();
    found.consistency = consistency(&first.pick(in_first)?, &second.pick(in_second)?)?;

    if let Some(categories) = grounds.categories {
        found.agreement = Some(agreement(&items, &categories.rarest, PERMUTATIONS, SEED)?);
        found.completeness = told_of(categories, &items, &rows).await?;
    }
    tokio::task::yield_now().await;
    if let Some(known) = grounds.known {
        let agreement = agreement(&items, &known.rarest, PERMUTATIONS, SEED)?;
        found.recovery = Some(Recovery { agreement, people: told_of(known, &items, &rows).await? });
    }
    tokio::task::yield_now().await;
    Ok(found)
}

/// How people's facets tell of their categories, over those who have an item with any. Their facets are those of all their
/// items.
async fn told_of(categories: &Categories, items: &Shares, rows: &Rows) -> Result<Option<Completeness>, TaskError> {
    let Categories { shares, row_of, .. } = categories;
    if !rows.input().items.iter().any(|item| row_of[*item as usize].is_some()) {
        return Ok(None);
    }
    let (of_categories, known) = shares.of_people(&rows.input(), |item| row_of[item])?;
    let (of_facets, rows) = items.of_people(&rows.input(), Some)?;
    let known = rows.iter().zip(&known).filter_map(|(row, known)| known.and(*row));
    let of_facets = of_facets.pick(known)?;
    // With many facets and categories it takes a while, in which somebody may want to stop us.
    let told = tokio::task::spawn_blocking(move || completeness(&of_facets, &of_categories, SEED));
    Ok(told.await.map_err(|error| TaskError::bug(error.to_string()))??)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use teasel_data::{Catalogue, Csr};
    use teasel_model::Likelihood;

    use super::*;

    const ITEMS: usize = 30;
    const FACETS: usize = 3;
    const PEOPLE: usize = 60;

    fn config(facets: usize) -> Config {
        Config {
            items: ITEMS,
            facets,
            dimensions: 4,
            likelihood: Likelihood::Multinomial,
            temperature: 0.1,
            prior_deviation: 0.075,
            dropout: 0.2,
            kl_weight: 0.05,
            kl_anneal_steps: 0,
            seed: 3,
            content: None,
        }
    }

    /// A model that puts each item into the facet that `facet_of` says, or into all alike.
    fn routed(facet_of: Option<fn(usize) -> usize>) -> FacetVae {
        let vae = FacetVae::new(config(FACETS)).unwrap();
        let _guard = tch::no_grad_guard();
        let parameter =
            |name: &str| vae.parameters().iter().find(|(own, _)| own == name).unwrap().1.shallow_clone();
        let (prototypes, directions) = (parameter("facet.prototypes"), parameter("item.directions"));
        for facet in 0..FACETS as i64 {
            // With all in one place no facet is nearer than another.
            let place = if facet_of.is_some() { facet } else { 0 };
            let own = Tensor::eye(4, (tch::Kind::Float, tch::Device::Cpu)).get(place);
            prototypes.get(facet).copy_(&own);
        }
        if let Some(facet_of) = facet_of {
            for item in 0..ITEMS {
                let own = Tensor::eye(4, (tch::Kind::Float, tch::Device::Cpu)).get(facet_of(item) as i64);
                directions.get(item as i64).copy_(&(own + directions.get(item as i64) * 0.3));
            }
        }
        vae
    }

    fn interest(item: usize) -> usize {
        item % FACETS
    }

    /// A clustering that has nothing to do with what people like.
    fn unrelated(item: usize) -> usize {
        item / (ITEMS / FACETS)
    }

    /// People who like the items of one interest, most of them; and the items' categories, which are the interests.
    fn people() -> (HeldOut, Categories) {
        let (mut fold_in, mut held_out) = (Csr::empty(false), Csr::empty(false));
        for person in 0..PEOPLE {
            let own =
                |number: usize| ((person / FACETS + number) % (ITEMS / FACETS) * FACETS + person % FACETS) as u32;
            let other = ((person * 7 + 1) % ITEMS) as u32;
            fold_in.items.extend([own(0), own(1), own(2), own(3)]);
            if interest(other as usize) != person % FACETS {
                fold_in.items.push(other);
            }
            fold_in.offsets.push(fold_in.items.len() as u64);
            held_out.items.extend([own(4), own(5), own(6)]);
            held_out.offsets.push(held_out.items.len() as u64);
        }
        let keys = (0..PEOPLE as u64).collect();
        let catalogue = Catalogue {
            ids: (0..ITEMS).map(|item| item.to_string()).collect(),
            texts: vec![None; ITEMS],
            categories: (0..ITEMS).map(|item| vec![format!("category {}", interest(item))]).collect(),
            images: vec![None; ITEMS],
            facets: vec![None; ITEMS],
            counts: vec![1; ITEMS],
        };
        (HeldOut { keys, fold_in, held_out }, Categories::of(&catalogue).unwrap().unwrap())
    }

    /// Lets a model's encoder learn what people like, by Adam (Kingma and Ba 2015); the facets stay as they are.
    fn trained(mut vae: FacetVae, people: &HeldOut) -> FacetVae {
        let rows = Rows::of(&people.fold_in, &people.keys, 0..PEOPLE);
        let learns: Vec<Tensor> = vae
            .parameters()
            .iter()
            .filter(|(name, _)| name.starts_with("encoder"))
            .map(|(_, parameter)| parameter.shallow_clone())
            .collect();
        let mut moments: Vec<(Tensor, Tensor)> =
            learns.iter().map(|parameter| (parameter.zeros_like(), parameter.zeros_like())).collect();
        for step in 0..200 {
            vae.loss(&rows.input(), step).unwrap().objective.backward();
            tch::no_grad(|| {
                for (parameter, (first, second)) in learns.iter().zip(&mut moments) {
                    let (mut parameter, gradient) = (parameter.shallow_clone(), parameter.grad());
                    *first = &*first * 0.9 + &gradient * 0.1;
                    *second = &*second * 0.99 + gradient.square() * 0.01;
                    parameter -= &*first / (second.sqrt() + 1e-8) * 0.02;
                    parameter.zero_grad();
                }
            });
        }
        vae
    }

    async fn measured(vae: &FacetVae, people: &HeldOut, categories: &Categories) -> FacetMeasures {
        let metric: Metric = "ndcg@10".parse().unwrap();
        let mut scorer = vae.scorer(None).unwrap();
        let own = measure_all(&mut scorer, people, &[metric]).await.unwrap().remove(0);
        let grounds = Grounds { categories: Some(categories), known: Some(categories), counts: &[] };
        measure(vae, &scorer, grounds, people, metric, &own).await.unwrap()
    }

    #[tokio::test]
    async fn facets_that_are_peoples_interests_are_told_from_degenerate_ones() {
        let (people, categories) = people();
        let good = measured(&trained(routed(Some(interest)), &people), &people, &categories).await;
        let agrees =
            |found: &FacetMeasures| found.conditions.agreement.as_ref().unwrap().adjusted_mutual_information;
        assert!(agrees(&good) > 0.9 && good.shuffled.lost > 0.2, "{good:?}");
        assert!(good.conditions.effective_facets > 2.5, "{good:?}");
        let ratio = |found: &FacetMeasures| found.conditions.consistency.as_ref().map(|found| found.ratio);
        assert!(ratio(&good).unwrap() < 0.6, "{good:?}");
        let told = |found: &FacetMeasures| {
            let told = found.conditions.completeness.as_ref();
            told.map_or(0.0, |told| told.completeness * told.r2)
        };
        assert!(told(&good) > 0.5, "{good:?}");
        let recovery = good.conditions.recovery.as_ref().unwrap();
        assert!(recovery.agreement.adjusted_mutual_information > 0.9, "{recovery:?}");

        // All facets alike: they are nobody's, and as many as could be.
        let uniform = measured(&trained(routed(None), &people), &people, &categories).await;
        assert!(agrees(&uniform).abs() < 0.02 && told(&uniform) < 0.05, "{uniform:?}");
        assert!(uniform.shuffled.lost.abs() < 1e-6, "{uniform:?}");
        let likeness = |found: &FacetMeasures| found.conditions.independence.as_ref().map(|found| found.likeness);
        assert!(likeness(&uniform).unwrap() > 0.99 && likeness(&good).is_none_or(|found| found < 0.9), "{good:?}");
        assert!(ratio(&uniform).is_none_or(|ratio| ratio > 0.99), "{uniform:?}");

        // Clusters that have nothing to do with anybody.
        let frozen = measured(&routed(Some(unrelated)), &people, &categories).await;
        assert!(agrees(&frozen) < 0.1 && told(&frozen) < 0.7 * told(&good), "{frozen:?}");

        // One facet has nothing to repeat, to cover, or to agree.
        let single = measured(&FacetVae::new(config(1)).unwrap(), &people, &categories).await;
        let Conditions { independence, completeness, consistency, effective_facets, .. } = &single.conditions;
        assert!(independence.is_none() && completeness.is_none(), "{single:?}");
        assert!(consistency.as_ref().is_none_or(|found| found.ratio > 0.99), "{single:?}");
        assert!((effective_facets - 1.0).abs() < 1e-9 && single.shuffled.lost.abs() < 1e-6, "{single:?}");
    }
}
