//! How good ranked lists are, by the definitions of Liang, Krishnan, Hoffman and Jebara ("Variational Autoencoders for
//! Collaborative Filtering", 2018).

use std::fmt;
use std::str::FromStr;

use crate::error::ModelError;

/// A measure of one user's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Discounted cumulative gain with binary relevance, as a share of the best possible.
    Ndcg,
    /// Share of the relevant items that are in the list; of as many as fit into it.
    Recall,
    /// Average precision: the mean over the relevant items, of as many as fit into the list, of the share of relevant ones
    /// in the list's head that ends with them; 0 for those that aren't in it. Its mean over users is called MAP.
    AveragePrecision,
}

/// A measure and the length of the list's head that it looks at. Written `ndcg@100`, `recall@20`, `map@100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metric {
    /// The measure.
    pub kind: MetricKind,
    /// Length of the head, at least 1.
    pub cutoff: usize,
}

impl Metric {
    /// The value of one user's list, from 0 to 1. `ranked` is best first; `relevant` holds the user's held-out items in
    /// ascending order. Without relevant items the value is undefined, and 0: leave such users out.
    pub fn of_user(&self, ranked: &[u32], relevant: &[u32]) -> f64 {
        let reachable = relevant.len().min(self.cutoff);
        if reachable == 0 {
            return 0.0;
        }
        let hits = ranked
            .iter()
            .take(self.cutoff)
            .enumerate()
            .filter(|(_, item)| relevant.binary_search(item).is_ok())
            .map(|(place, _)| place);
        match self.kind {
            MetricKind::Recall => hits.count() as f64 / reachable as f64,
            MetricKind::AveragePrecision => {
                let precisions = hits.enumerate().map(|(before, place)| (before + 1) as f64 / (place + 1) as f64);
                total(precisions) / reachable as f64
            }
            MetricKind::Ndcg => {
                let ideal: f64 = (0..reachable).map(discount).sum();
                total(hits.map(discount)) / ideal
            }
        }
    }

    /// What lists of `candidates` items in random order come to on average, where so many of these are relevant.
    pub fn by_chance(&self, relevant: usize, candidates: usize) -> f64 {
        let reachable = relevant.min(self.cutoff);
        if reachable == 0 || candidates == 0 {
            return 0.0;
        }
        // At each place, an item is relevant with this probability.
        let share = relevant.min(candidates) as f64 / candidates as f64;
        let places = self.cutoff.min(candidates);
        match self.kind {
            MetricKind::Recall => share * places as f64 / reachable as f64,
            MetricKind::AveragePrecision => {
                // Where a place is relevant, of those before it each other one is with this probability.
                let others = (relevant.min(candidates) as f64 - 1.0) / (candidates as f64 - 1.0).max(1.0);
                let precision = |place: usize| (1.0 + place as f64 * others) / (place + 1) as f64;
                share * (0..places).map(precision).sum::<f64>() / reachable as f64
            }
            MetricKind::Ndcg => {
                let ideal: f64 = (0..reachable).map(discount).sum();
                share * (0..places).map(discount).sum::<f64>() / ideal
            }
        }
    }
}

/// `1 / log2(place + 2)`, places counted from 0.
fn discount(place: usize) -> f64 {
    1.0 / ((place + 2) as f64).log2()
}

/// A sum; of nothing it is 0, where `sum` says -0.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// The arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            MetricKind::Ndcg => "ndcg",
            MetricKind::Recall => "recall",
            MetricKind::AveragePrecision => "map",
        };
        write!(formatter, "{name}@{}", self.cutoff)
    }
}

impl FromStr for Metric {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let unknown = || {
            ModelError::Configuration(format!("`{text}` is no metric; write `ndcg@100`, `recall@20` or `map@100`"))
        };
        let (name, cutoff) = text.split_once('@').ok_or_else(unknown)?;
        let kind = match name {
            "ndcg" => MetricKind::Ndcg,
            "recall" => MetricKind::Recall,
            "map" => MetricKind::AveragePrecision,
            _ => return Err(unknown()),
        };
        let cutoff = cutoff.parse().ok().filter(|&cutoff| cutoff > 0).ok_or_else(unknown)?;
        Ok(Self { kind, cutoff })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn metric(text: &str) -> Metric {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::all_first("ndcg@3", &[4, 5], &[4, 5], 1.0)]
    #[case::none("ndcg@3", &[1, 2, 3], &[4, 5], 0.0)]
    #[case::second_place("ndcg@2", &[1, 4], &[4], 0.630_929_753_571_457_4)]
    #[case::more_relevant_than_places("recall@2", &[4, 5], &[4, 5, 6, 7], 1.0)]
    #[case::half("recall@10", &[4, 1, 2], &[4, 9], 0.5)]
    #[case::beyond_the_cutoff("recall@1", &[1, 4], &[4], 0.0)]
    #[case::first_and_third("map@3", &[4, 1, 5], &[4, 5], (1.0 + 2.0 / 3.0) / 2.0)]
    #[case::one_of_two("map@3", &[1, 4, 2], &[4, 9], 0.25)]
    #[case::more_relevant_than_places("map@2", &[4, 5], &[4, 5, 6, 7], 1.0)]
    #[case::nothing_relevant("ndcg@5", &[1, 4], &[], 0.0)]
    #[case::empty_list("ndcg@5", &[], &[1], 0.0)]
    fn values_follow_the_definitions(
        #[case] name: &str,
        #[case] ranked: &[u32],
        #[case] relevant: &[u32],
        #[case] expected: f64,
    ) {
        let found = metric(name).of_user(ranked, relevant);
        assert!((found - expected).abs() < 1e-12 && found.is_sign_positive());
    }

    /// Straight from the paper: a relevance vector over the whole catalogue, cut off at R.
    fn independent(kind: MetricKind, cutoff: usize, ranked: &[u32], relevant: &BTreeSet<u32>) -> f64 {
        let gains: Vec<f64> =
            ranked.iter().map(|item| if relevant.contains(item) { 1.0 } else { 0.0 }).take(cutoff).collect();
        match kind {
            MetricKind::Recall => gains.iter().sum::<f64>() / cutoff.min(relevant.len()) as f64,
            MetricKind::AveragePrecision => {
                let precision = |rank: usize| gains[..rank].iter().sum::<f64>() / rank as f64;
                let terms = gains.iter().zip(1..).map(|(gain, rank)| gain * precision(rank));
                terms.sum::<f64>() / cutoff.min(relevant.len()) as f64
            }
            MetricKind::Ndcg => {
                let dcg = |gains: &[f64]| -> f64 {
                    gains.iter().zip(1..).map(|(gain, rank)| (gain.exp2() - 1.0) / f64::from(rank + 1).log2()).sum()
                };
                let mut best = vec![1.0; relevant.len()];
                best.truncate(cutoff);
                dcg(&gains) / dcg(&best)
            }
        }
    }

    proptest! {
        #[test]
        fn values_equal_an_independent_computation(
            ranked in Just((0_u32..40).collect::<Vec<_>>()).prop_shuffle(),
            relevant in prop::collection::btree_set(0_u32..60, 1..30),
            cutoff in 1_usize..50,
        ) {
            let sorted: Vec<u32> = relevant.iter().copied().collect();
            for kind in [MetricKind::Ndcg, MetricKind::Recall, MetricKind::AveragePrecision] {
                let value = Metric { kind, cutoff }.of_user(&ranked, &sorted);
                prop_assert!((value - independent(kind, cutoff, &ranked, &relevant)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn chance_is_the_mean_over_all_orders() {
        fn orders(items: &[u32]) -> Vec<Vec<u32>> {
            if items.is_empty() {
                return vec![Vec::new()];
            }
            let with_first = |place: usize| {
                let (first, mut others) = (items[place], items.to_vec());
                others.remove(place);
                orders(&others).into_iter().map(move |rest| [vec![first], rest].concat())
            };
            (0..items.len()).flat_map(with_first).collect()
        }
        let orders = orders(&[0, 1, 2, 3, 4, 5]);
        for name in ["ndcg@4", "recall@2", "map@3", "ndcg@10", "recall@10", "map@10"] {
            let values: Vec<f64> = orders.iter().map(|order| metric(name).of_user(order, &[1, 4, 5])).collect();
            let (expected, found) = (mean(&values), metric(name).by_chance(3, 6));
            assert!((found - expected).abs() < 1e-12, "{name}: {found} instead of {expected}");
        }
        assert_eq!(metric("ndcg@4").by_chance(0, 6), 0.0);
        assert_eq!(metric("map@4").by_chance(1, 1), 1.0);
    }

    #[rstest]
    #[case("ndcg")]
    #[case("ndcg@")]
    #[case("ndcg@0")]
    #[case("ndcg@-1")]
    #[case("auc@10")]
    fn what_is_no_metric_is_refused(#[case] text: &str) {
        assert!(text.parse::<Metric>().is_err());
    }

    #[test]
    fn a_metric_is_written_as_it_is_read() {
        for text in ["ndcg@100", "recall@20", "map@100"] {
            assert_eq!(metric(text).to_string(), text);
        }
    }
}
