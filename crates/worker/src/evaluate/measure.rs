//! Metrics of a model on held-out users.

use std::ops::Range;

use teasel_data::{Csr, HeldOut};
use teasel_model::metrics::Metric;
use teasel_model::{BatchInput, Recommendation, Scorer};

use crate::error::TaskError;

/// Users that are scored at once.
pub(crate) const BATCH_USERS: usize = 256;

/// Rows of a CSR in the form that the model takes.
#[derive(Default)]
pub(crate) struct Rows {
    offsets: Vec<i64>,
    items: Vec<i64>,
    weights: Option<Vec<f32>>,
    keys: Vec<u64>,
}

impl Rows {
    /// Rows `range` of `csr`, whose users have these `keys`.
    pub(crate) fn of(csr: &Csr, keys: &[u64], range: Range<usize>) -> Self {
        let start = csr.offsets[range.start];
        let entries = start as usize..csr.offsets[range.end] as usize;
        Rows {
            offsets: csr.offsets[range.start..=range.end].iter().map(|offset| (offset - start) as i64).collect(),
            items: csr.items[entries.clone()].iter().map(|item| i64::from(*item)).collect(),
            weights: csr.weights.as_ref().map(|weights| weights[entries].to_vec()),
            keys: keys[range].to_vec(),
        }
    }

    /// Every other entry of each row, from its `first` on.
    pub(crate) fn half(&self, first: usize) -> Self {
        let rows =
            self.offsets.windows(2).map(|bounds| (bounds[0] as usize + first..bounds[1] as usize).step_by(2));
        let entries: Vec<usize> = rows.clone().flatten().collect();
        let ends = rows.scan(0, |end, row| {
            *end += row.len() as i64;
            Some(*end)
        });
        Rows {
            offsets: std::iter::once(0).chain(ends).collect(),
            items: entries.iter().map(|entry| self.items[*entry]).collect(),
            weights: self.weights.as_ref().map(|weights| entries.iter().map(|entry| weights[*entry]).collect()),
            keys: self.keys.clone(),
        }
    }

    /// The rows, borrowed.
    pub(crate) fn input(&self) -> BatchInput<'_> {
        BatchInput {
            offsets: &self.offsets,
            items: &self.items,
            weights: self.weights.as_deref(),
            user_keys: &self.keys,
        }
    }
}

/// So many users at most, spread over all, and which they are.
pub(crate) fn sample(held_out: &HeldOut, most: usize) -> (HeldOut, Vec<usize>) {
    let users = held_out.users();
    let chosen: Vec<usize> = (0..users.min(most)).map(|number| number * users / users.min(most)).collect();
    (held_out.pick(&chosen), chosen)
}

/// The items of [`Scorer::recommend`]'s lists, without the users' own.
pub(crate) fn recommend_items(
    scorer: &mut Scorer,
    batch: &BatchInput<'_>,
    top_k: usize,
) -> Result<Vec<Vec<u32>>, TaskError> {
    Ok(items_of(&scorer.recommend(batch, top_k, true)?))
}

/// The items of lists.
pub(crate) fn items_of(lists: &[Vec<Recommendation>]) -> Vec<Vec<u32>> {
    lists.iter().map(|list| list.iter().map(|recommended| recommended.item).collect()).collect()
}

/// Values of each metric for each of the users `range` of `held_out`: `[metric][user - range.start]`.
///
/// A user's fold-in items are known and never recommended; the held-out items are what is asked for.
pub(crate) fn measure(
    scorer: &mut Scorer,
    held_out: &HeldOut,
    range: Range<usize>,
    metrics: &[Metric],
) -> Result<Vec<Vec<f64>>, TaskError> {
    let longest = metrics.iter().map(|metric| metric.cutoff).max().unwrap_or(1);
    let mut values = vec![Vec::with_capacity(range.len()); metrics.len()];
    for start in range.clone().step_by(BATCH_USERS) {
        let batch = start..(start + BATCH_USERS).min(range.end);
        let rows = Rows::of(&held_out.fold_in, &held_out.keys, batch.clone());
        let lists = recommend_items(scorer, &rows.input(), longest)?;
        for (user, list) in batch.zip(lists) {
            let relevant = held_out.held_out.row(user);
            for (metric, values) in metrics.iter().zip(&mut values) {
                values.push(metric.of_user(&list, relevant));
            }
        }
    }
    Ok(values)
}

/// Values of each metric for all users of `held_out`. A stop is seen between batches.
pub(crate) async fn measure_all(
    scorer: &mut Scorer,
    held_out: &HeldOut,
    metrics: &[Metric],
) -> Result<Vec<Vec<f64>>, TaskError> {
    let users = held_out.keys.len();
    let mut all = vec![Vec::with_capacity(users); metrics.len()];
    for start in (0..users).step_by(BATCH_USERS) {
        let batch = measure(scorer, held_out, start..(start + BATCH_USERS).min(users), metrics)?;
        all.iter_mut().zip(batch).for_each(|(all, values)| all.extend(values));
        tokio::task::yield_now().await;
    }
    Ok(all)
}

/// Parses metric names, which validation has checked.
pub(crate) fn parse(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Metric>, TaskError> {
    let mut metrics: Vec<Metric> = Vec::new();
    for name in names {
        let metric = name.as_ref().parse()?;
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    Ok(metrics)
}

/// The metrics that every run reports.
pub(crate) const STANDARD_METRICS: [&str; 4] = ["ndcg@100", "recall@20", "recall@50", "map@100"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_history_have_every_other_item_with_its_weight() {
        let people = Rows {
            offsets: vec![0, 3, 4],
            items: vec![2, 5, 7, 9],
            weights: Some(vec![1.0, 2.0, 3.0, 4.0]),
            keys: vec![1, 2],
        };
        let (first, second) = (people.half(0), people.half(1));
        assert_eq!(
            (first.items, first.weights, first.offsets),
            (vec![2, 7, 9], Some(vec![1.0, 3.0, 4.0]), vec![0, 2, 3])
        );
        assert_eq!((second.items, second.weights, second.offsets), (vec![5], Some(vec![2.0]), vec![0, 1, 1]));
    }

    #[test]
    fn a_sample_is_spread_over_all_users_and_has_their_rows() {
        let rows = |weights| Csr { offsets: vec![0, 1, 3, 3, 4], items: vec![7, 1, 2, 9], weights };
        let all = HeldOut {
            keys: vec![10, 11, 12, 13],
            fold_in: rows(Some(vec![0.1, 0.2, 0.3, 0.4])),
            held_out: rows(None),
        };
        let (some, chosen) = sample(&all, 2);
        assert_eq!((chosen, some.keys), (vec![0, 2], vec![10, 12]));
        assert_eq!(some.fold_in, Csr { offsets: vec![0, 1, 1], items: vec![7], weights: Some(vec![0.1]) });
        let (whole, chosen) = sample(&all, 9);
        assert_eq!((chosen.len(), &whole.fold_in, &whole.held_out), (4, &all.fold_in, &all.held_out));
        assert!(
            sample(&HeldOut { keys: vec![], fold_in: Csr::empty(false), held_out: Csr::empty(false) }, 5)
                .1
                .is_empty()
        );
    }
}
