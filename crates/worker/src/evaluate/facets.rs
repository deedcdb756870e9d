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
}

impl FacetMeasures {
    /// One number for each condition that is defined, and what shuffled facets lose.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (String, f64)> {
        let Conditions { independence, completeness, consistency, agreement, recovery, .. } = &self.conditions;
        let found = [
            ("facets/independence", independence.as_ref().map(|found| found.excess)),
            ("facets/completeness", completeness.as_ref().map(|found| found.completeness)),
            ("facets/completeness-r2", completeness.as_ref().map(|found| found.r2)),
            ("facets/consistency", consistency.as_ref().map(|found| found.ratio)),
            ("facets/agreement", agreement.as_ref().map(|found| found.adjusted_mutual_information)),
            ("facets/recovery", recovery.as_ref().map(|found| found.agreement.adjusted_mutual_information)),
            ("facets/effective", Some(self.conditions.effective_facets)),
            ("facets/lost-when-shuffled", Some(self.shuffled.lost)),
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
        let untrained = FacetVae::new(vae.config().clone())?;
        self::conditions(vae.config(), &untrained.scorer(None)?, grounds, &people).await?
    };
    let values = measure_all(&mut vae.scorer_with_shuffled_facets(SEED)?, test, &[metric]).await?;
    let (own, shuffled) = (mean(own), values.first().map_or(0.0, |values| mean(values)));
    let lost = if own > 0.0 { 1.0 - shuffled / own } else { 0.0 };
    Ok(FacetMeasures {
        conditions,
        untrained,
        shuffled: Shuffled { metric: metric.to_string(), own, shuffled, lost },
    })
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
