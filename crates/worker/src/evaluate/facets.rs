//! What the model's facets are like: the three conditions, their agreement with categories, and what they are good for.

use serde::Serialize;
use teasel_data::{Catalogue, HeldOut};
use teasel_model::measures::{
    Agreement, Completeness, Consistency, Independence, Shares, agreement, completeness, consistency, independence,
};
use teasel_model::metrics::{Metric, mean};
use teasel_model::{BatchInput, FacetVae, Scorer};

use super::lists::{number_categories, rarest_categories};
use super::measure::{Rows, measure_all, sample};
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
        let Conditions { independence, completeness, consistency, agreement, .. } = &self.conditions;
        let found = [
            ("facets/independence", independence.as_ref().map(|found| found.excess)),
            ("facets/completeness", completeness.as_ref().map(|found| found.completeness)),
            ("facets/consistency", consistency.as_ref().map(|found| found.ratio)),
            ("facets/agreement", agreement.as_ref().map(|found| found.adjusted_mutual_information)),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    independence: Option<IndependenceReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<CompletenessReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<ConsistencyReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<AgreementReport>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IndependenceReport {
    excess: f64,
    correlation: f64,
    floor: f64,
    varying: f64,
}

impl From<Independence> for IndependenceReport {
    fn from(found: Independence) -> Self {
        let Independence { correlation, floor, varying } = found;
        Self { excess: found.excess(), correlation, floor, varying }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CompletenessReport {
    completeness: f64,
    r2: f64,
}

impl From<Completeness> for CompletenessReport {
    fn from(found: Completeness) -> Self {
        Self { completeness: found.completeness, r2: found.r2 }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsistencyReport {
    ratio: f64,
    same: f64,
    different: f64,
    identification: f64,
}

impl From<Consistency> for ConsistencyReport {
    fn from(found: Consistency) -> Self {
        let Consistency { same, different, identification } = found;
        Self { ratio: found.ratio(), same, different, identification }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AgreementReport {
    adjusted_mutual_information: f64,
    chance_low: f64,
    chance_high: f64,
    largest_share: f64,
    effective_facets: f64,
}

impl From<Agreement> for AgreementReport {
    fn from(found: Agreement) -> Self {
        Self {
            adjusted_mutual_information: found.adjusted_mutual_information,
            chance_low: found.low,
            chance_high: found.high,
            largest_share: found.largest_share,
            effective_facets: found.effective_facets,
        }
    }
}

/// Measures a model's facets. `own` are its values of `metric` for the test users.
pub(super) async fn measure(
    vae: &FacetVae,
    catalogue: &Catalogue,
    test: &HeldOut,
    metric: Metric,
    own: &[f64],
) -> Result<FacetMeasures, TaskError> {
    let (people, _) = sample(test, MOST_PEOPLE);
    let conditions = conditions(&vae.scorer(None)?, catalogue, &people).await?;
    let untrained = {
        let untrained = FacetVae::new(vae.config().clone())?;
        self::conditions(&untrained.scorer(None)?, catalogue, &people).await?
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

async fn conditions(scorer: &Scorer, catalogue: &Catalogue, test: &HeldOut) -> Result<Conditions, TaskError> {
    let people = test.keys.len();
    let rows = Rows::of(&test.fold_in, &test.keys, 0..people);
    let items = scorer.item_shares()?;
    let mut found =
        Conditions { people, independence: None, completeness: None, consistency: None, agreement: None };
    if people == 0 {
        return Ok(found);
    }
    found.independence = independence(&scorer.latents(&rows.input())?, SEED)?.map(Into::into);
    tokio::task::yield_now().await;

    let (first, second) = (Half::of(&rows.input(), 0), Half::of(&rows.input(), 1));
    if let (Ok((first, in_first)), Ok((second, in_second))) =
        (items.of_people(&first.input(), Some), items.of_people(&second.input(), Some))
    {
        let both: Vec<(usize, usize)> =
            in_first.iter().zip(&in_second).filter_map(|(first, second)| Some(((*first)?, (*second)?))).collect();
        if !both.is_empty() {
            let first = first.pick(both.iter().map(|(first, _)| *first))?;
            let second = second.pick(both.iter().map(|(_, second)| *second))?;
            found.consistency = consistency(&first, &second)?.map(Into::into);
        }
    }

    let (names, categories) = number_categories(catalogue);
    if !names.is_empty() {
        let rarest = rarest_categories(names.len(), &categories);
        found.agreement = Some(agreement(&items, &rarest, PERMUTATIONS, SEED)?.into());
        let (shares, row_of) = Shares::of_categories(names.len(), &categories)?;
        // People who have an item with categories; their facets are those of all their items.
        if let Ok((of_categories, known)) = shares.of_people(&rows.input(), |item| row_of[item]) {
            let (of_facets, rows) = items.of_people(&rows.input(), Some)?;
            let known = rows.iter().zip(&known).filter_map(|(row, known)| known.and(*row));
            found.completeness = completeness(&of_facets.pick(known)?, &of_categories)?.map(Into::into);
        }
    }
    tokio::task::yield_now().await;
    Ok(found)
}

/// Every other item of each history.
struct Half {
    offsets: Vec<i64>,
    items: Vec<i64>,
    weights: Option<Vec<f32>>,
    keys: Vec<u64>,
}

impl Half {
    fn of(people: &BatchInput<'_>, first: usize) -> Self {
        let mut half = Half {
            offsets: vec![0],
            items: Vec::new(),
            weights: people.weights.map(|_| Vec::new()),
            keys: people.user_keys.to_vec(),
        };
        for bounds in people.offsets.windows(2) {
            for entry in (bounds[0] as usize + first..bounds[1] as usize).step_by(2) {
                half.items.push(people.items[entry]);
                if let (Some(half), Some(weights)) = (&mut half.weights, people.weights) {
                    half.push(weights[entry]);
                }
            }
            half.offsets.push(half.items.len() as i64);
        }
        half
    }

    fn input(&self) -> BatchInput<'_> {
        BatchInput {
            offsets: &self.offsets,
            items: &self.items,
            weights: self.weights.as_deref(),
            user_keys: &self.keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_history_have_every_other_item_with_its_weight() {
        let people = BatchInput {
            offsets: &[0, 3, 4],
            items: &[2, 5, 7, 9],
            weights: Some(&[1.0, 2.0, 3.0, 4.0]),
            user_keys: &[1, 2],
        };
        let (first, second) = (Half::of(&people, 0), Half::of(&people, 1));
        assert_eq!(
            (first.items, first.weights, first.offsets),
            (vec![2, 7, 9], Some(vec![1.0, 3.0, 4.0]), vec![0, 2, 3])
        );
        assert_eq!((second.items, second.weights, second.offsets), (vec![5], Some(vec![2.0]), vec![0, 1, 1]));
    }
}
