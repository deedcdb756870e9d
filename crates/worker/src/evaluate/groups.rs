//! Test users apart: those of each tenant, and all of them as if they were cold.

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_api::resolved::{Data, Job};
use teasel_data::{Csr, Dataset, HeldOut, HeldOutSet};
use teasel_model::measures::permutation;
use teasel_model::{BatchInput, Scorer};

use super::lists::{ListMeasures, Survey};
use super::measure::{Rows, items_of, recommend_items};
use crate::error::TaskError;

/// The most tenants that are told of beyond `metrics.json`.
const MOST_TOLD: usize = 10;

/// Some users' metrics.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    /// How many.
    users: usize,
    /// The most items that were given of a history; unset where all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<usize>,
    /// What their lists come to.
    #[serde(flatten)]
    lists: ListMeasures,
}

/// The test users with as little of their histories as the filters leave a cold user: one item less than the minimum. The
/// filters keep real cold users out of every test set, and these are asked the same as before. `None` where nobody who has
/// anything is cold.
pub(super) async fn cold(
    survey: &Survey<'_>,
    scorer: &mut Scorer,
    test: &HeldOut,
    data: &Data,
) -> Result<Option<Group>, TaskError> {
    let most = (data.minimum_interactions.user as usize).saturating_sub(1);
    if most == 0 || test.users() == 0 {
        return Ok(None);
    }
    let lists = cold_lists(survey, scorer, test, most).await?;
    Ok(Some(Group { users: test.users(), items: Some(most), lists }))
}

/// What lists come to that know so many items of each history at most.
async fn cold_lists(
    survey: &Survey<'_>,
    scorer: &mut Scorer,
    test: &HeldOut,
    most: usize,
) -> Result<ListMeasures, TaskError> {
    // What is kept from the model stays out of the lists too: a cold user has no such items, and here they would count as
    // wrong.
    let (short, mut next) = (shortened(test, most), 0);
    let recommend = |batch: &BatchInput<'_>, length: usize| {
        let users = next..next + batch.users();
        next = users.end;
        let whole = Rows::of(&test.fold_in, &test.keys, users);
        Ok(items_of(&scorer.recommend_without(batch, &whole.input(), length)?))
    };
    Ok(survey.of(&short, recommend).await?.measures)
}

/// The test users of each tenant of the job. A tenant without test users isn't listed.
pub(super) async fn tenants(
    survey: &Survey<'_>,
    scorer: &mut Scorer,
    test: &HeldOut,
    job: &Job,
    dataset: &Dataset,
) -> Result<BTreeMap<String, Group>, TaskError> {
    if job.data.interactions.columns.tenant.is_none() {
        return Ok(BTreeMap::new());
    }
    let mut found = BTreeMap::new();
    for (value, users) in dataset.held_out_tenants(HeldOutSet::Test).await? {
        let Some(tenant) = job.scoring.tenants.iter().find(|tenant| tenant.value == value) else { continue };
        let own = test.pick(&users.collect::<Vec<_>>());
        let lists = survey.of(&own, |batch, length| recommend_items(scorer, batch, length)).await?;
        found.insert(tenant.name.clone(), Group { users: own.users(), items: None, lists: lists.measures });
    }
    Ok(found)
}

/// One number of each group; tenants only where they are few.
pub(super) fn by_name(cold: Option<&Group>, tenants: &BTreeMap<String, Group>, metric: &str) -> Vec<(String, f64)> {
    let value = |group: &Group| group.lists.metrics.get(metric).copied();
    let cold = cold.and_then(value).map(|value| (format!("cold/{metric}"), value));
    let few = if tenants.len() <= MOST_TOLD { tenants.iter() } else { Default::default() };
    let each = few.filter_map(|(name, group)| Some((format!("tenants/{name}/{metric}"), value(group)?)));
    cold.into_iter().chain(each).collect()
}

/// The same users, given so many items of their histories at most. Which ones depends on the user alone.
fn shortened(test: &HeldOut, most: usize) -> HeldOut {
    let mut fold_in = Csr::empty(test.fold_in.weights.is_some());
    for user in 0..test.users() {
        let (items, weights) = (test.fold_in.row(user), test.fold_in.row_weights(user));
        let mut kept: Vec<usize> = permutation(items.len(), test.keys[user], 0);
        kept.truncate(most);
        kept.sort_unstable();
        let items: Vec<u32> = kept.iter().map(|entry| items[*entry]).collect();
        let weights = weights.map(|weights| kept.iter().map(|entry| weights[*entry]).collect::<Vec<_>>());
        fold_in.push(&items, weights.as_deref());
    }
    HeldOut { keys: test.keys.clone(), fold_in, held_out: test.held_out.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use teasel_data::Catalogue;
    use teasel_model::measures::ExposureMeasures;
    use teasel_model::metrics::Metric;
    use teasel_model::{Config, FacetVae, Likelihood};

    use super::*;

    #[test]
    fn a_shortened_history_is_a_part_of_it_and_the_question_stays() {
        let test = HeldOut {
            keys: vec![3, 4],
            fold_in: Csr {
                offsets: vec![0, 5, 6],
                items: vec![1, 2, 3, 4, 5, 9],
                weights: Some(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.9]),
            },
            held_out: Csr { offsets: vec![0, 1, 2], items: vec![7, 7], weights: None },
        };
        let short = shortened(&test, 2);
        assert_eq!((short.fold_in.row(0).len(), short.fold_in.row(1)), (2, &[9_u32][..]));
        for (item, weight) in short.fold_in.row(0).iter().zip(short.fold_in.row_weights(0).unwrap_or_default()) {
            assert!((*item as f32 / 10.0 - weight).abs() < 1e-6);
        }
        assert!(short.fold_in.row(0)[0] < short.fold_in.row(0)[1]);
        assert_eq!((short.held_out, short.keys), (test.held_out.clone(), test.keys.clone()));
        assert_eq!(shortened(&test, 9), test);
    }

    /// Of eight items a person has six, one is asked for, and one is neither: however few are given, the two that are not
    /// theirs are all that may be listed.
    #[tokio::test]
    async fn what_is_kept_from_the_model_is_not_recommended_to_somebody_cold() {
        let config = Config {
            items: 8,
            facets: 2,
            dimensions: 4,
            likelihood: Likelihood::Multinomial,
            temperature: 0.1,
            prior_deviation: 0.1,
            dropout: 0.0,
            kl_weight: 0.2,
            kl_anneal_steps: 0,
            seed: 1,
            content: None,
        };
        let mut scorer = FacetVae::new(config).unwrap().scorer(None).unwrap();
        let people = 300_u32;
        let (mut fold_in, mut held_out) = (Csr::empty(false), Csr::empty(false));
        for person in 0..people {
            let (asked, neither) = (person % 8, (person % 8 + 1 + person / 8 % 7) % 8);
            let own: Vec<u32> = (0..8).filter(|item| ![asked, neither].contains(item)).collect();
            fold_in.push(&own, None);
            held_out.push(&[asked], None);
        }
        let test = HeldOut { keys: (0..u64::from(people)).collect(), fold_in, held_out };
        let catalogue = Catalogue {
            ids: (0..8).map(|item| item.to_string()).collect(),
            texts: vec![None; 8],
            categories: vec![Vec::new(); 8],
            images: vec![None; 8],
            facets: vec![None; 8],
            counts: vec![1; 8],
        };
        let metrics = ["recall@2".parse::<Metric>().unwrap()];
        let survey = Survey::new(&metrics, &catalogue, None, 10).unwrap();
        let lists = cold_lists(&survey, &mut scorer, &test, 2).await.unwrap();
        assert_eq!(lists.metrics["recall@2"], 1.0);
    }

    #[test]
    fn few_tenants_are_told_of_and_many_are_not() {
        let lists = |value| ListMeasures {
            metrics: [("ndcg@100".to_owned(), value)].into(),
            exposure: ExposureMeasures::default(),
            calibration: None,
            length: 20,
        };
        let group = |value| Group { users: 1, items: None, lists: lists(value) };
        let tenants = |count: usize| (0..count).map(|number| (format!("t{number:02}"), group(0.5))).collect();
        assert_eq!(
            by_name(Some(&group(0.2)), &tenants(1), "ndcg@100"),
            [("cold/ndcg@100".to_owned(), 0.2), ("tenants/t00/ndcg@100".to_owned(), 0.5)]
        );
        assert_eq!(by_name(None, &tenants(MOST_TOLD + 1), "ndcg@100"), []);
    }
}
