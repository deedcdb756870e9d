//! What recommenders' lists for the test users are like.

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_data::{Catalogue, HeldOut};
use teasel_model::BatchInput;
use teasel_model::measures::{Calibration, Exposure, ExposureMeasures};
use teasel_model::metrics::{Metric, mean};

use super::categories::Categories;
use super::measure::{BATCH_USERS, Rows};
use crate::error::TaskError;

/// What all lists of one recommender come to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeasures {
    /// Means over the test users.
    pub(super) metrics: BTreeMap<String, f64>,
    /// What they show of the catalogue.
    #[serde(flatten)]
    pub(super) exposure: ExposureMeasures,
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
            ("coverage", Some(self.exposure.coverage)),
            ("novelty", Some(self.exposure.novelty)),
            ("popularity-bias", Some(self.exposure.popularity_bias)),
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

/// What lists are measured by.
pub(super) struct Survey<'a> {
    metrics: &'a [Metric],
    exposure: Exposure,
    calibration: Option<Calibration<'a>>,
}

/// Items of a list that coverage, novelty, popularity and calibration look at.
const LENGTH: usize = 20;

impl<'a> Survey<'a> {
    /// By the items of a catalogue, where so many users were trained on.
    pub(super) fn new(
        metrics: &'a [Metric],
        catalogue: &Catalogue,
        categories: Option<&'a Categories>,
        training_users: u64,
    ) -> Result<Self, TaskError> {
        let calibration = categories.map(|known| Calibration::new(&known.shares, &known.row_of));
        Ok(Self { metrics, exposure: Exposure::new(&catalogue.counts, training_users)?, calibration })
    }

    /// Lets `recommend` make lists of the length it is given, without the users' own items, for all of these
    /// users. A stop is seen between batches.
    pub(super) async fn of(
        &self,
        held_out: &HeldOut,
        mut recommend: impl FnMut(&BatchInput<'_>, usize) -> Result<Vec<Vec<u32>>, TaskError>,
    ) -> Result<Lists, TaskError> {
        let users = held_out.keys.len();
        let longest = self.metrics.iter().map(|metric| metric.cutoff).max().unwrap_or(1).max(LENGTH);
        let (mut exposure, mut calibration) = (self.exposure.clone(), self.calibration.clone());
        let mut values = vec![Vec::with_capacity(users); self.metrics.len()];
        for start in (0..users).step_by(BATCH_USERS) {
            let batch = start..(start + BATCH_USERS).min(users);
            let rows = Rows::of(&held_out.fold_in, &held_out.keys, batch.clone());
            let lists = recommend(&rows.input(), longest)?;
            for (user, list) in batch.zip(lists) {
                let relevant = held_out.held_out.row(user);
                for (metric, values) in self.metrics.iter().zip(&mut values) {
                    values.push(metric.of_user(&list, relevant));
                }
                let (head, history) = (&list[..list.len().min(LENGTH)], held_out.fold_in.row(user));
                exposure.add(head, history)?;
                calibration.iter_mut().for_each(|calibration| calibration.add(head, history));
            }
            tokio::task::yield_now().await;
        }
        let means = self.metrics.iter().zip(&values).map(|(metric, values)| (metric.to_string(), mean(values)));
        let measures = ListMeasures {
            metrics: means.collect(),
            exposure: exposure.measures().unwrap_or_default(),
            calibration: calibration.and_then(|calibration| calibration.divergence()),
            length: LENGTH,
        };
        Ok(Lists { values, measures })
    }
}
