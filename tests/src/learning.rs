//! Whether a job's model learns: against EASE and popularity, on the job's own held-out users.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use teasel_api::location::Location;
use teasel_data::{Csr, Dataset, HeldOut, HeldOutSet, VIRTUAL_SHARDS};
use teasel_model::BatchInput;
use teasel_model::baselines::{Ease, Popularity};
use teasel_model::metrics::{Metric, MetricKind, mean};
use teasel_storage::{Credentials, RunRecord, Store};

const METRIC: Metric = Metric { kind: MetricKind::Ndcg, cutoff: 100 };
/// L2 penalties of EASE, of which the validation users choose.
const PENALTIES: [f64; 8] = [20.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0];

/// NDCG@100 of the simple models on a dataset's test users.
#[derive(Clone, Copy, Debug)]
pub struct Baselines {
    /// Of EASE, with the penalty that is best on the validation users.
    pub ease: f64,
    /// Of popularity.
    pub popularity: f64,
}

/// Measures the baselines on the dataset of `run`, a result of `teasel run --json`, below the folder `storage`.
pub async fn baselines(storage: &Path, result: &Value) -> Result<Baselines> {
    let uri = storage.canonicalize()?.display().to_string();
    let store = Store::open(&Location { uri, secret_ref: None }, &Credentials::none())?;
    let run = result["run"].as_str().context("the result names no run")?;
    let record = RunRecord::load(&store, run).await?.context("the run has no record")?;
    let dataset = Dataset::open(&store, &record.dataset).await?;
    let training = dataset.training(0..VIRTUAL_SHARDS).await?;
    let (validation, test) =
        (dataset.held_out(HeldOutSet::Validation).await?, dataset.held_out(HeldOutSet::Test).await?);
    if test.keys.is_empty() {
        bail!("the dataset has no test users");
    }
    let training = Rows::of(&training.interactions, &training.keys);
    let mut best: Option<(f64, Ease)> = None;
    for penalty in PENALTIES {
        let ease = Ease::fit(dataset.items(), &training.input(), penalty)?;
        let value = value(&validation, |batch| Ok(ease.recommend(batch, METRIC.cutoff)?))?;
        if best.as_ref().is_none_or(|(highest, _)| value > *highest) {
            best = Some((value, ease));
        }
    }
    let (_, ease) = best.context("no penalty was tried")?;
    let popularity = Popularity::fit(dataset.items(), &training.input())?;
    Ok(Baselines {
        ease: value(&test, |batch| Ok(ease.recommend(batch, METRIC.cutoff)?))?,
        popularity: value(&test, |batch| Ok(popularity.recommend(batch, METRIC.cutoff)?))?,
    })
}

fn value(held_out: &HeldOut, recommend: impl Fn(&BatchInput<'_>) -> Result<Vec<Vec<u32>>>) -> Result<f64> {
    let lists = recommend(&Rows::of(&held_out.fold_in, &held_out.keys).input())?;
    let values: Vec<f64> =
        lists.iter().enumerate().map(|(user, list)| METRIC.of_user(list, held_out.held_out.row(user))).collect();
    Ok(mean(&values))
}

struct Rows {
    offsets: Vec<i64>,
    items: Vec<i64>,
    keys: Vec<u64>,
}

impl Rows {
    fn of(rows: &Csr, keys: &[u64]) -> Self {
        Rows {
            offsets: rows.offsets.iter().map(|offset| *offset as i64).collect(),
            items: rows.items.iter().map(|item| i64::from(*item)).collect(),
            keys: keys.to_vec(),
        }
    }

    fn input(&self) -> BatchInput<'_> {
        BatchInput { offsets: &self.offsets, items: &self.items, weights: None, user_keys: &self.keys }
    }
}
