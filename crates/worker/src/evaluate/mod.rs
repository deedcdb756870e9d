//! The `evaluate` task: test metrics, gates, and the model for scoring.

mod baselines;
mod best;
mod categories;
mod compare;
mod facets;
mod gates;
mod lists;
pub(crate) mod measure;

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_api::outcome::{ExitCode, GATE_NOT_MET, Outcome};
use teasel_api::progress::EpochRecord;
use teasel_api::resolved::{Bound, Gate};
use teasel_api::task::{EvaluateTask, TaskKind};
use teasel_data::{Dataset, HeldOut, HeldOutSet};
use teasel_model::metrics::{Metric, mean};
use teasel_model::{Config, FacetVae};
use teasel_storage::run_log::{Claimed, Event, RunLog};
use teasel_storage::{RunRecord, Store};

use crate::error::TaskError;
use crate::model_store::{self, NewModel};
use crate::train::claim_of;
use crate::worker::TaskContext;
use crate::{outcome, places};
use baselines::Baseline;
use best::best_model;
use categories::Categories;
use facets::FacetMeasures;
use gates::{GateResult, Measured};
use lists::{ListMeasures, Survey};
use measure::recommend_items;

/// The most test users that baselines make lists for.
const MOST_COMPARED: usize = 10_000;

/// `metrics.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    run: &'a str,
    dataset: &'a str,
    best_epoch: u32,
    test_users: usize,
    /// Of the model's lists.
    #[serde(flatten)]
    lists: &'a ListMeasures,
    /// What is compared with it, on the same users.
    baselines: &'a BTreeMap<&'static str, Baseline>,
    facets: &'a FacetMeasures,
    gates: &'a [GateResult],
    history: &'a [EpochRecord],
}

/// Measures the best epoch's model on the test users, decides the gates, and writes model and report.
pub(crate) async fn run(task: &EvaluateTask, context: &TaskContext<'_>) -> Result<Outcome, TaskError> {
    let storage = places::storage(&task.storage)?;
    let record = RunRecord::load(&storage, &task.run)
        .await?
        .ok_or_else(|| TaskError::Missing(format!("there is no run {}", task.run)))?;
    let log = RunLog::open(&storage, &task.run).await?;
    if log.state().outcome_of(TaskKind::Train, "").is_none() {
        return Err(TaskError::Missing(format!("run {} isn't trained yet", task.run)));
    }
    let claim = claim_of(context.file, &log, TaskKind::Evaluate, 1, task.subject());
    let mut writer = match log.claim(claim).await? {
        Claimed::AlreadyDone(outcome) => return Ok(*outcome),
        Claimed::Writer(writer) => writer,
    };
    tch::set_num_threads(context.file.threads_per_process.max(1) as i32);

    let best = best_model(writer.log()).await?;
    best.notice.iter().for_each(|notice| tracing::warn!("{notice}"));
    let (position, parameters) = (best.position, best.parameters);
    let dataset = Dataset::open(&storage, &record.dataset).await?;
    let catalogue = dataset.catalogue().await?;
    let test = dataset.held_out(HeldOutSet::Test).await?;
    let mut vae =
        FacetVae::new(Config::from_spec(&record.job.model, dataset.items(), 1, record.job.training.seed))?;
    vae.load_safetensors(&parameters)?;

    context.progress.update(|progress| progress.message = format!("measuring on {} test users", test.keys.len()));
    let metrics = measure::parse(
        measure::STANDARD_METRICS.iter().copied().chain(task.gates.iter().map(|gate| gate.metric.as_str())),
    )?;
    let categories = Categories::of(&catalogue)?;
    let survey = Survey::new(&metrics, &catalogue, categories.as_ref(), dataset.training_users())?;
    let mut scorer = vae.scorer(None)?;
    let lists = survey.of(&test, |batch, length| recommend_items(&mut scorer, batch, length)).await?;
    let values = &lists.values;
    drop(scorer);
    context.progress.update(|progress| progress.message = "measuring baselines".into());
    let (sampled, chosen) = measure::sample(&test, MOST_COMPARED);
    let compared: Vec<Vec<f64>> =
        values.iter().map(|values| chosen.iter().map(|user| values[*user]).collect()).collect();
    let baselines = baselines::measure(&survey, &metrics, &sampled, &compared, &dataset, &catalogue).await?;
    context.progress.update(|progress| progress.message = "measuring facets".into());
    let facets = facets::measure(&vae, categories.as_ref(), &test, metrics[0], &values[0]).await?;
    let mut gates = Vec::with_capacity(task.gates.len());
    for gate in &task.gates {
        let own = &values[position_of(&metrics, gate)?];
        let measured = measure_gate(gate, task, &storage, &catalogue.ids, &test, own).await?;
        gates.push(gates::decide(gate, &measured));
    }

    // What an attempt that is shut out writes is for nothing.
    writer.confirm().await?;
    let new = NewModel {
        run: &task.run,
        dataset: &record.dataset,
        model: &record.job.model,
        parameters,
        catalogue: &catalogue,
        metrics: lists.measures.metrics.clone(),
    };
    let manifest = model_store::write(&storage, new).await?;
    let report = Report {
        run: &task.run,
        dataset: &record.dataset,
        best_epoch: position.best.epoch,
        test_users: test.keys.len(),
        lists: &lists.measures,
        baselines: &baselines,
        facets: &facets,
        gates: &gates,
        history: &position.history,
    };
    let report = serde_json::to_vec_pretty(&report).map_err(|error| TaskError::bug(error.to_string()))?;
    let path = format!("report/{}/metrics.json", teasel_storage::nonce());
    let report = writer.log().folder().put_described(&path, report.into()).await?;

    let mut told = lists.measures.by_name();
    let standard = measure::STANDARD_METRICS[0];
    told.extend(
        baselines.iter().filter_map(|(name, found)| Some((format!("{name}/{standard}"), found.value(standard)?))),
    );
    told.extend(facets.by_name());
    let mut ended = describe(context, told, &gates, position.global_step);
    best.notice.iter().for_each(|notice| ended.message.push_str(&format!("; {notice}")));
    writer.append(Event::Modelled { manifest }).await?;
    writer
        .append(Event::Evaluated { report: vec![report], subject: task.subject(), outcome: ended.clone() })
        .await?;
    Ok(ended)
}

fn position_of(metrics: &[Metric], gate: &Gate) -> Result<usize, TaskError> {
    let wanted: Metric = gate.metric.parse()?;
    let found = metrics.iter().position(|metric| *metric == wanted);
    found.ok_or_else(|| TaskError::bug(format!("{} wasn't measured", gate.metric)))
}

async fn measure_gate(
    gate: &Gate,
    task: &EvaluateTask,
    storage: &Store,
    ids: &[String],
    test: &HeldOut,
    own: &[f64],
) -> Result<Measured, TaskError> {
    let run = match &gate.bound {
        Bound::Minimum { .. } => return Ok(Measured::Absolute(mean(own))),
        Bound::RelativeToPublished { .. } => match &task.published_run {
            Some(run) => run,
            None => return Ok(Measured::NoPublishedModel),
        },
        Bound::RelativeTo { run, .. } => run,
    };
    let other = compare::measure_other(storage, run, ids, test, gate.metric.parse()?).await?;
    let interval = teasel_model::bootstrap::ratio_interval(own, &other, compare::RESAMPLES, compare::SEED)?;
    Ok(Measured::Relative { run: run.clone(), new: mean(own), old: mean(&other), interval })
}

fn describe(
    context: &TaskContext<'_>,
    metrics: BTreeMap<String, f64>,
    gates: &[GateResult],
    last_step: u64,
) -> Outcome {
    let failed: Vec<_> = gates.iter().filter(|gate| !gate.passed).collect();
    let (reason, shown) =
        if failed.is_empty() { ("Evaluated", gates.iter().collect::<Vec<_>>()) } else { (GATE_NOT_MET, failed) };
    let message = shown.iter().map(|gate| gate.message.as_str()).collect::<Vec<_>>().join("; ");
    let message = if message.is_empty() { "no gates to meet".to_owned() } else { message };
    let mut ended = outcome::ended(context.file, ExitCode::Done, reason, message);
    ended.metrics = metrics;
    ended.last_step = Some(last_step);
    ended
}
