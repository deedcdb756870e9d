//! What recommenders' lists for the test users are like.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use teasel_data::{Catalogue, HeldOut};
use teasel_model::BatchInput;
use teasel_model::measures::{Calibration, Exposure, Shares};
use teasel_model::metrics::{Metric, mean};

use super::measure::Rows;
use crate::error::TaskError;

/// Users that get lists at once.
const BATCH_USERS: usize = 256;

/// What all lists of one recommender come to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeasures {
    /// Means over the test users.
    pub(super) metrics: BTreeMap<String, f64>,
    /// Share of the items that are in somebody's list.
    pub(super) coverage: f64,
    /// Mean self-information of what is recommended, in bits.
    pub(super) novelty: f64,
    /// Mean share of the training users who have what is recommended.
    pub(super) recommended_popularity: f64,
    /// The same of the histories.
    pub(super) history_popularity: f64,
    /// By how much the first is above the second.
    pub(super) popularity_bias: f64,
    /// Kullback-Leibler divergence of the lists' categories from the histories'. Unset where items have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calibration: Option<f64>,
    /// Length of the lists of which all but the metrics are measured.
    pub(super) length: usize,
}

impl ListMeasures {
    /// All of them by their names, with the length of the list's head that each looks at.
    pub(super) fn by_name(&self) -> BTreeMap<String, f64> {
        let others = [
            ("coverage", Some(self.coverage)),
            ("novelty", Some(self.novelty)),
            ("popularity-bias", Some(self.popularity_bias)),
            ("calibration", self.calibration),
        ];
        let named = |(name, value): (&str, Option<f64>)| Some((format!("{name}@{}", self.length), value?));
        self.metrics.clone().into_iter().chain(others.into_iter().filter_map(named)).collect()
    }
}

/// One recommender's lists.
pub(super) struct Lists {
    /// Values of each metric for each user: `[metric][user]`.
    pub(super) values: Vec<Vec<f64>>,
    /// What they come to.
    pub(super) measures: ListMeasures,
}

/// The test users, and what their lists are measured by.
pub(super) struct Survey<'a> {
    test: &'a HeldOut,
    metrics: &'a [Metric],
    exposure: Exposure,
    calibration: Option<Calibration>,
}

/// Items of a list that coverage, novelty, popularity and calibration look at.
const LENGTH: usize = 20;

impl<'a> Survey<'a> {
    /// Of the test users, where so many users were trained on.
    pub(super) fn new(
        test: &'a HeldOut,
        metrics: &'a [Metric],
        catalogue: &Catalogue,
        training_users: u64,
    ) -> Result<Self, TaskError> {
        let (names, categories) = number_categories(catalogue);
        let calibration = match names.is_empty() {
            true => None,
            false => {
                let (shares, rows) = Shares::of_categories(names.len(), &categories)?;
                Some(Calibration::new(shares, rows))
            }
        };
        Ok(Self { test, metrics, exposure: Exposure::new(&catalogue.counts, training_users)?, calibration })
    }

    /// Lets `recommend` make lists of the length it is given, without the users' own items, for all test users. A stop is
    /// seen between batches.
    pub(super) async fn of(
        &self,
        mut recommend: impl FnMut(&BatchInput<'_>, usize) -> Result<Vec<Vec<u32>>, TaskError>,
    ) -> Result<Lists, TaskError> {
        let users = self.test.keys.len();
        let longest = self.metrics.iter().map(|metric| metric.cutoff).max().unwrap_or(1).max(LENGTH);
        let (mut exposure, mut calibration) = (self.exposure.clone(), self.calibration.clone());
        let mut values = vec![Vec::with_capacity(users); self.metrics.len()];
        for start in (0..users).step_by(BATCH_USERS) {
            let batch = start..(start + BATCH_USERS).min(users);
            let rows = Rows::of(&self.test.fold_in, &self.test.keys, batch.clone());
            let lists = recommend(&rows.input(), longest)?;
            for (user, list) in batch.zip(lists) {
                let relevant = self.test.held_out.row(user);
                for (metric, values) in self.metrics.iter().zip(&mut values) {
                    values.push(metric.of_user(&list, relevant));
                }
                let (head, history) = (&list[..list.len().min(LENGTH)], self.test.fold_in.row(user));
                exposure.add(head, history)?;
                calibration.iter_mut().for_each(|calibration| calibration.add(head, history));
            }
            tokio::task::yield_now().await;
        }
        let found = exposure.measures().unwrap_or_default();
        let means = self.metrics.iter().zip(&values).map(|(metric, values)| (metric.to_string(), mean(values)));
        let measures = ListMeasures {
            metrics: means.collect(),
            coverage: found.coverage,
            novelty: found.novelty,
            recommended_popularity: found.recommended_popularity,
            history_popularity: found.history_popularity,
            popularity_bias: found.popularity_bias(),
            calibration: calibration.and_then(|calibration| calibration.divergence()),
            length: LENGTH,
        };
        Ok(Lists { values, measures })
    }
}

/// The most numbers that the items' shares of categories may have: 80 MB.
const MOST_SHARES: usize = 10_000_000;

/// All categories in their alphabetical order, and the numbers of each item's. None, where there are so many that they are
/// tags rather than categories.
pub(super) fn number_categories(catalogue: &Catalogue) -> (Vec<String>, Vec<Vec<u32>>) {
    let names: BTreeSet<&String> = catalogue.categories.iter().flatten().collect();
    if names.len() * catalogue.len() > MOST_SHARES {
        tracing::warn!("{} categories of {} items are too many to be measured by", names.len(), catalogue.len());
        return (Vec::new(), vec![Vec::new(); catalogue.len()]);
    }
    let names: Vec<String> = names.into_iter().cloned().collect();
    let number = |name: &String| names.binary_search(name).unwrap_or_default() as u32;
    // An item may name one twice.
    let numbers = |own: &Vec<String>| own.iter().map(number).collect::<BTreeSet<u32>>().into_iter().collect();
    let numbers = catalogue.categories.iter().map(numbers).collect();
    (names, numbers)
}

/// Each item's rarest category: a film that is a drama and a western is told apart by the second.
pub(super) fn rarest_categories(names: usize, categories: &[Vec<u32>]) -> Vec<Option<u32>> {
    let mut counts = vec![0_u64; names];
    categories.iter().flatten().for_each(|category| counts[*category as usize] += 1);
    let rarest =
        |own: &Vec<u32>| own.iter().copied().min_by_key(|category| (counts[*category as usize], *category));
    categories.iter().map(rarest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_rarest_category_is_that_of_the_fewest_items() {
        let categories = [vec![0, 1], vec![0], vec![1, 0, 2], vec![], vec![0, 1]];
        assert_eq!(rarest_categories(3, &categories), [Some(1), Some(0), Some(2), None, Some(1)]);
    }
}
