//! What the model is compared with, on the same users.

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_data::{Catalogue, Dataset, HeldOut, HeldOutSet, VIRTUAL_SHARDS};
use teasel_model::baselines::{Ease, Gram, Popularity};
use teasel_model::bootstrap::ratio_interval;
use teasel_model::metrics::{Metric, mean};
use teasel_model::{ModelError, RatioInterval};

use super::compare::{RESAMPLES, SEED};
use super::lists::{ListMeasures, Lists, Survey};
use super::measure::{Rows, sample};
use crate::error::TaskError;
use crate::memory;

/// The most items that EASE is fitted to: it needs 1.1 GB for so many.
const MOST_ITEMS: usize = 5_000;
/// The most validation users that choose its penalty.
const MOST_CHOOSERS: usize = 1_000;
/// Parts in which the training users are read.
const PARTS: u32 = 20;
/// Penalties that are tried on the validation users, and the metric that chooses.
const PENALTIES: [f64; 5] = [10.0, 50.0, 200.0, 500.0, 1000.0];
const CHOSEN_BY: &str = "ndcg@100";

/// A baseline's measures, and how the model does against it; or why there are none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(super) enum Baseline {
    /// It was measured.
    #[serde(rename_all = "camelCase")]
    Measured {
        #[serde(flatten)]
        lists: ListMeasures,
        /// The model's mean over the baseline's, with its 95 % interval, by metric.
        model_ratio: BTreeMap<String, RatioInterval>,
        /// EASE: the penalty that did best on the validation users.
        #[serde(skip_serializing_if = "Option::is_none")]
        penalty: Option<f64>,
    },
    /// It wasn't.
    Skipped {
        /// Why, in a sentence.
        skipped: String,
    },
}

impl Baseline {
    /// Its value of a metric, where it was measured.
    pub(super) fn value(&self, metric: &str) -> Option<f64> {
        match self {
            Baseline::Measured { lists, .. } => lists.metrics.get(metric).copied(),
            Baseline::Skipped { .. } => None,
        }
    }
}

/// Measures all baselines against the model's values for the users of `test`, `[metric][user]`.
pub(super) async fn measure(
    survey: &Survey<'_>,
    metrics: &[Metric],
    test: &HeldOut,
    model: &[Vec<f64>],
    dataset: &Dataset,
    catalogue: &Catalogue,
) -> Result<BTreeMap<&'static str, Baseline>, TaskError> {
    let popularity = Popularity::of(&catalogue.counts);
    let lists = survey.of(test, |batch, length| Ok(popularity.recommend(batch, length)?)).await?;
    let mut found = BTreeMap::from([("popularity", against(metrics, model, lists, None)?)]);
    let ease = match too_large(catalogue.len(), memory::available()) {
        Some(skipped) => Baseline::Skipped { skipped },
        None => {
            let (ease, penalty) = fit(dataset, catalogue.len()).await?;
            match ease {
                Ok(ease) => {
                    let lists = survey.of(test, |batch, length| Ok(ease.recommend(batch, length)?)).await?;
                    against(metrics, model, lists, Some(penalty))?
                }
                // No reason to fail a run.
                Err(error) => Baseline::Skipped { skipped: format!("EASE can't be solved: {error}") },
            }
        }
    };
    found.insert("ease", ease);
    Ok(found)
}

/// Why EASE isn't fitted, where it isn't: by the items, and by the bytes that there are, of which it takes half at most.
fn too_large(items: usize, available: Option<u64>) -> Option<String> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let needed = Ease::memory(items);
    let need = format!("EASE needs {:.2} GB for {items} items", gigabytes(needed));
    match available {
        _ if items > MOST_ITEMS => Some(format!("{need}, and is fitted to {MOST_ITEMS} items at most")),
        Some(bytes) if needed > bytes / 2 => {
            Some(format!("{need}, and there are {:.2} GB, of which it may take half", gigabytes(bytes)))
        }
        _ => None,
    }
}

/// EASE with the penalty that does best, or why it has no solution.
async fn fit(dataset: &Dataset, items: usize) -> Result<(Result<Ease, ModelError>, f64), TaskError> {
    let mut gram = Gram::new(items);
    for part in 0..PARTS {
        let training = dataset.training(part * VIRTUAL_SHARDS / PARTS..(part + 1) * VIRTUAL_SHARDS / PARTS).await?;
        gram.add(&Rows::of(&training.interactions, &training.keys, 0..training.users()).input())?;
        tokio::task::yield_now().await;
    }
    let (validation, _) = sample(&dataset.held_out(HeldOutSet::Validation).await?, MOST_CHOOSERS);
    let metric: Metric = CHOSEN_BY.parse()?;
    let rows = Rows::of(&validation.fold_in, &validation.keys, 0..validation.keys.len());
    let mut best: Option<(f64, Ease, f64)> = None;
    for penalty in PENALTIES {
        let ease = match Ease::solve(&gram, penalty) {
            Ok(ease) => ease,
            Err(error) => return Ok((Err(error), penalty)),
        };
        let lists = ease.recommend(&rows.input(), metric.cutoff)?;
        let values =
            lists.iter().enumerate().map(|(user, list)| metric.of_user(list, validation.held_out.row(user)));
        let value = mean(&values.collect::<Vec<_>>());
        if best.as_ref().is_none_or(|(best, ..)| value > *best) {
            best = Some((value, ease, penalty));
        }
        tokio::task::yield_now().await;
    }
    let (_, ease, penalty) = best.ok_or_else(|| TaskError::bug("no penalty of EASE was tried"))?;
    Ok((Ok(ease), penalty))
}

fn against(
    metrics: &[Metric],
    model: &[Vec<f64>],
    lists: Lists,
    penalty: Option<f64>,
) -> Result<Baseline, TaskError> {
    let mut model_ratio = BTreeMap::new();
    for (index, metric) in metrics.iter().enumerate() {
        let (new, old) = (&model[index], &lists.values[index]);
        if !new.is_empty() && mean(old) > 0.0 {
            let interval = ratio_interval(new, old, RESAMPLES, SEED)?;
            // Where hardly anybody's list hits anything, many resamples have none, and their ratio is no number.
            if interval.low.is_finite() && interval.high.is_finite() {
                model_ratio.insert(metric.to_string(), interval);
            }
        }
    }
    Ok(Baseline::Measured { lists: lists.measures, model_ratio, penalty })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use teasel_model::measures::ExposureMeasures;

    use super::*;

    #[test]
    fn a_ratio_over_hardly_anything_is_left_out_and_others_have_finite_intervals() {
        let metrics = ["ndcg@100", "recall@20"].map(|name| name.parse::<Metric>().unwrap());
        let model = vec![vec![0.5; 20], vec![0.5; 20]];
        let two_hits: Vec<f64> = (0..20).map(|user| if user < 2 { 1.0 } else { 0.0 }).collect();
        let lists = Lists {
            values: vec![two_hits, vec![0.25; 20]],
            measures: ListMeasures {
                metrics: BTreeMap::new(),
                exposure: ExposureMeasures::default(),
                calibration: None,
                length: 20,
            },
        };
        let Ok(Baseline::Measured { model_ratio, .. }) = against(&metrics, &model, lists, None) else {
            panic!("it was measured")
        };
        assert_eq!(model_ratio.keys().collect::<Vec<_>>(), ["recall@20"]);
    }

    #[test]
    fn a_catalogue_too_large_for_ease_is_told_the_memory_that_it_would_need() {
        assert_eq!(too_large(MOST_ITEMS, None), None);
        let said = too_large(100_000, None).unwrap_or_default();
        assert!(said.contains("440.00 GB for 100000 items") && said.contains("5000"), "{said}");
        assert_eq!(too_large(1000, Some(88_000_000)), None);
        let said = too_large(1000, Some(87_000_000)).unwrap_or_default();
        assert!(said.contains("0.04 GB for 1000 items") && said.contains("0.09 GB"), "{said}");
    }
}
