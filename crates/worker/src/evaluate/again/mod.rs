//! The `measure` task: finished models again, beside each other or with noise in people's histories.

mod noise;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use teasel_api::comparison::{Compared, ComparedMetric, Comparison, Interval};
use teasel_api::outcome::{ExitCode, Outcome};
use teasel_api::resolved::Split;
use teasel_api::task::MeasureTask;
use teasel_data::{Dataset, HeldOut, HeldOutSet};
use teasel_model::bootstrap::{MeanInterval, mean_interval};
use teasel_model::metrics::Metric;
use teasel_storage::{RunRecord, Store};

use super::compare::{RESAMPLES, SEED, translated};
use super::measure::{self, measure_all};
use crate::error::TaskError;
use crate::model_store;
use crate::worker::TaskContext;
use crate::{outcome, places};

/// Measures each run at each level of noise, on users that all runs have for testing, and writes the result to the task's
/// file.
pub(crate) async fn run(task: &MeasureTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let storage = places::storage(&task.storage)?;
    tch::set_num_threads(context.file.threads_per_process.max(1) as i32);
    let mut records = Vec::new();
    for run in &task.runs {
        let record = RunRecord::load(&storage, run).await?;
        records.push(record.ok_or_else(|| TaskError::Missing(format!("there is no run {run}")))?);
    }
    let first = records.first().ok_or_else(|| TaskError::usage("no run to measure"))?;
    let dataset = Dataset::open(&storage, &first.dataset).await?;
    let test = dataset.held_out(HeldOutSet::Test).await?;
    let test_users = test.users();
    let users = common_users(&storage, &test, &records).await?;
    let users = test.pick(&users);
    let ids = dataset.catalogue().await?.ids;
    let metrics = measure::parse(measure::STANDARD_METRICS)?;

    let (mut rows, mut reference) = (Vec::new(), None);
    let levels: Vec<f64> = std::iter::once(0.0).chain(task.noise.iter().copied()).collect();
    for run in &task.runs {
        let model = model_store::read(&storage, run).await?;
        for level in &levels {
            context.progress.update(|progress| progress.message = format!("run {run}, noise {level}"));
            let values = values(&model, &ids, &users, *level, task.seeds, &metrics).await?;
            let row = compared(run, *level, &metrics, &values, reference.as_deref())?;
            rows.push(row);
            reference.get_or_insert(values);
        }
    }
    let comparison = Comparison { users: users.users(), test_users, rows };
    let json = serde_json::to_vec(&comparison).map_err(|error| TaskError::bug(error.to_string()))?;
    std::fs::write(&task.result, json).map_err(|source| TaskError::scratch("write what was measured", source))?;
    Ok(outcome::ended(context.file, ExitCode::Done, "Measured", format!("measured on {} users", users.users())))
}

/// The users of `test`, which is the first run's, that every run's own dataset has for testing too, by their places: to
/// another run they may be users that it was trained on.
///
/// # Errors
/// Where there are none, or a run's test users train too.
pub(super) async fn common_users(
    storage: &Store,
    test: &HeldOut,
    runs: &[RunRecord],
) -> Result<Vec<usize>, TaskError> {
    let datasets: BTreeSet<&str> = runs.iter().map(|run| run.dataset.as_str()).collect();
    let mut kept: Vec<usize> = (0..test.users()).collect();
    if datasets.len() > 1 {
        runs.iter().try_for_each(refuse_trained_on)?;
    }
    for dataset in datasets.into_iter().filter(|dataset| *dataset != runs[0].dataset) {
        let other = Dataset::open(storage, dataset).await?.held_out(HeldOutSet::Test).await?;
        let keys: HashSet<u64> = other.keys.into_iter().collect();
        kept.retain(|user| keys.contains(&test.keys[*user]));
    }
    if kept.is_empty() {
        let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
        let message = format!("the runs have no test user in common: {}", names.join(", "));
        return Err(TaskError::Configuration(message));
    }
    Ok(kept)
}

/// Refuses a run whose test users train too, as in every split but one: on other data than its own, what is asked of them
/// may be what it was trained on.
fn refuse_trained_on(record: &RunRecord) -> Result<(), TaskError> {
    match record.job.data.split {
        Split::LeaveLastOut | Split::Provided { .. } => Err(TaskError::Configuration(format!(
            "run {} was trained on its own test users (data.split), so it can't be compared with a run of other data: \
             compare runs of the same data, or of split StrongGeneralization",
            record.run
        ))),
        Split::StrongGeneralization { .. } => Ok(()),
    }
}

/// Each user's values, the mean over the seeds where there is noise: `[metric][user]`.
async fn values(
    model: &model_store::StoredModel,
    ids: &[String],
    users: &HeldOut,
    level: f64,
    seeds: u32,
    metrics: &[Metric],
) -> Result<Vec<Vec<f64>>, TaskError> {
    let mut scorer = model.vae.scorer(None)?;
    if level <= 0.0 {
        return measure_all(&mut scorer, &translated(model, ids, users), metrics).await;
    }
    let mut sums = vec![vec![0.0; users.users()]; metrics.len()];
    let seeds = seeds.max(1);
    for seed in 1..=seeds {
        let noisy = noise::with_noise(users, ids.len(), level, u64::from(seed));
        let values = measure_all(&mut scorer, &translated(model, ids, &noisy), metrics).await?;
        for (sums, values) in sums.iter_mut().zip(values) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / f64::from(seeds));
        }
    }
    Ok(sums)
}

fn compared(
    run: &str,
    noise: f64,
    metrics: &[Metric],
    values: &[Vec<f64>],
    reference: Option<&[Vec<f64>]>,
) -> Result<Compared, TaskError> {
    let mut found = BTreeMap::new();
    for (index, metric) in metrics.iter().enumerate() {
        let difference = |reference: &[Vec<f64>]| {
            let pairs = values[index].iter().zip(&reference[index]);
            interval(&pairs.map(|(new, old)| new - old).collect::<Vec<_>>())
        };
        let mean = interval(&values[index])?;
        let difference = reference.map(difference).transpose()?;
        found.insert(metric.to_string(), ComparedMetric { mean, difference });
    }
    Ok(Compared { run: run.to_owned(), noise, metrics: found })
}

fn interval(values: &[f64]) -> Result<Interval, TaskError> {
    let MeanInterval { mean, low, high } = mean_interval(values, RESAMPLES, SEED)?;
    Ok(Interval { value: mean, low, high })
}
