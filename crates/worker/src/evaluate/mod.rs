//! The `evaluate` task: test metrics, gates, and the model for scoring.

mod again;
mod baselines;
mod best;
mod categories;
mod class_tf_idf;
mod cold_items;
mod compare;
mod facets;
mod gates;
mod groups;
mod lists;
pub(crate) mod measure;
mod portrait;
mod report;

use std::borrow::Cow;
use std::collections::BTreeMap;

use teasel_api::outcome::{ExitCode, GATE_NOT_MET, Outcome};
use teasel_api::resolved::{Bound, Gate, Job};
use teasel_api::task::{EvaluateTask, TaskKind};
use teasel_data::{Dataset, HeldOut, HeldOutSet};
use teasel_model::metrics::{Metric, mean};
use teasel_model::{Compression, Config, FacetVae, ScorerOptions};
use teasel_storage::run_log::{Claimed, Event, RunLog};
use teasel_storage::{RunRecord, Store};

use crate::error::TaskError;
use crate::model_store::{self, NewModel};
use crate::train::claim_of;
use crate::worker::TaskContext;
use crate::{content, outcome, places};
use again::common_users;
pub(crate) use again::run as again;
use best::best_model;
use categories::Categories;
use cold_items::ColdItems;
use facets::Grounds;
use gates::{GateResult, Measured};
use lists::Survey;
use measure::recommend_items;
use report::{Measures, Seen};

/// The most test users that baselines make lists for.
const MOST_COMPARED: usize = 10_000;

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
    let cold = content::cold_items(&dataset, &record.job.model);
    let all_items = content::followed_by_cold_items(catalogue.clone(), &dataset, &record.job.model).await?;
    let config =
        Config::from_spec(&record.job.model, dataset.items(), 1, record.job.training.seed).with_cold_items(cold);
    let mut vae = FacetVae::new(config)?;
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
    context.progress.update(|progress| progress.message = "measuring baselines".into());
    let (sampled, chosen) = measure::sample(&test, MOST_COMPARED);
    let compared: Vec<Vec<f64>> =
        values.iter().map(|values| chosen.iter().map(|user| values[*user]).collect()).collect();
    let baselines = match task.evaluation.baselines {
        true => baselines::measure(&survey, &metrics, &sampled, &compared, &dataset, &catalogue).await?,
        false => BTreeMap::new(),
    };
    context.progress.update(|progress| progress.message = "measuring facets".into());
    let known = Categories::known_facets(&catalogue)?;
    let grounds = Grounds { categories: categories.as_ref(), known: known.as_ref(), counts: &catalogue.counts };
    let facets = facets::measure(&vae, &scorer, grounds, &test, metrics[0], &values[0]).await?;
    let cold_users = groups::cold(&survey, &mut scorer, &test, &record.job.data).await?;
    let cold_items = match cold {
        0 => None,
        _ => {
            let asked = dataset.held_out_cold_items(HeldOutSet::Test).await?;
            cold_items::measure(&vae, catalogue.len(), &test, &asked).await?
        }
    };
    let compressed = compressed(&vae, &record.job, &test).await?;
    let tenants = groups::tenants(&survey, &mut scorer, &test, &record.job, &dataset).await?;
    let mut gates = Vec::with_capacity(task.gates.len());
    for gate in &task.gates {
        let own = &values[position_of(&metrics, gate)?];
        let measured = measure_gate(gate, task, &record, &storage, &catalogue.ids, &test, own).await?;
        gates.push(gates::decide(gate, &measured));
    }

    let portraits = portrait::facets(&scorer.item_shares()?, &catalogue, categories.as_ref());
    let facet_names: Vec<String> = portraits.iter().map(teasel_report::Facet::name).collect();

    // What an attempt that is shut out writes is for nothing.
    writer.confirm().await?;
    let new = NewModel {
        run: &task.run,
        dataset: &record.dataset,
        model: &record.job.model,
        parameters,
        items: catalogue.len(),
        catalogue: &all_items,
        facet_names: facet_names.clone(),
        metrics: lists.measures.metrics.clone(),
    };
    let manifest = model_store::write(&storage, new).await?;
    let measured = Measures {
        run: &task.run,
        dataset: &record.dataset,
        best_epoch: position.best.epoch,
        test_users: test.users(),
        compared_users: chosen.len(),
        lists: &lists.measures,
        baselines: &baselines,
        facets: &facets,
        facet_names: &facet_names,
        cold: cold_users,
        cold_items,
        compressed,
        tenants,
        gates: &gates,
        history: &position.history,
    };
    // What was asked of this evaluation may be newer than the run.
    let job = Job { gates: task.gates.clone(), evaluation: task.evaluation, ..record.job.clone() };
    let seen = Seen {
        scorer: &scorer,
        catalogue: &catalogue,
        categories: categories.as_ref(),
        facets: portraits,
        dataset: &dataset,
        job: &job,
    };
    let report = report::write(writer.log(), &measured, seen).await?;
    let mut told = lists.measures.by_name();
    let standard = measure::STANDARD_METRICS[0];
    told.extend(
        baselines.iter().filter_map(|(name, found)| Some((format!("{name}/{standard}"), found.value(standard)?))),
    );
    told.extend(facets.by_name());
    told.extend(measured.cold_items.iter().flat_map(ColdItems::by_name));
    told.extend(groups::by_name(measured.cold.as_ref(), &measured.tenants, standard));
    let compressed = measured.compressed.iter().flatten();
    told.extend(compressed.map(|(name, value)| (format!("compressed/{name}"), *value)));
    let mut ended = describe(context, told, &gates, position.global_step);
    best.notice.iter().for_each(|notice| ended.message.push_str(&format!("; {notice}")));
    writer.append(Event::Modelled { manifest }).await?;
    writer.append(Event::Evaluated { report, subject: task.subject(), outcome: ended.clone() }).await?;
    Ok(ended)
}

/// What the lists come to that scoring makes with its compression. `None` where it has none.
async fn compressed(vae: &FacetVae, job: &Job, test: &HeldOut) -> Result<Option<BTreeMap<String, f64>>, TaskError> {
    let Some(compression) = job.scoring.tenants.iter().find_map(|tenant| tenant.compression.as_ref()) else {
        return Ok(None);
    };
    let compression = Compression::from_spec(Some(compression));
    let mut scorer = vae.scorer_with(&ScorerOptions { compression, ..ScorerOptions::default() })?;
    let metrics = measure::parse(measure::STANDARD_METRICS)?;
    let values = measure::measure_all(&mut scorer, test, &metrics).await?;
    Ok(Some(metrics.iter().zip(&values).map(|(metric, values)| (metric.to_string(), mean(values))).collect()))
}

fn position_of(metrics: &[Metric], gate: &Gate) -> Result<usize, TaskError> {
    let wanted: Metric = gate.metric.parse()?;
    let found = metrics.iter().position(|metric| *metric == wanted);
    found.ok_or_else(|| TaskError::bug(format!("{} wasn't measured", gate.metric)))
}

async fn measure_gate(
    gate: &Gate,
    task: &EvaluateTask,
    record: &RunRecord,
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
    let model = model_store::read(storage, run).await?;
    // With the same split a user's part stays what it is, whatever data comes; with another one the other model may have
    // been trained on some of our test users.
    let other = RunRecord::load(storage, run).await?;
    let otherwise_split = other.filter(|other| other.job.data.split != record.job.data.split);
    let (mut users, mut own) = (Cow::Borrowed(test), Cow::Borrowed(own));
    if let Some(other) = otherwise_split {
        let kept = common_users(storage, test, &[record.clone(), other]).await?;
        own = kept.iter().map(|user| own[*user]).collect();
        users = Cow::Owned(test.pick(&kept));
    }
    let translated = compare::translated(&model, ids, &users);
    let values = measure::measure_all(&mut model.vae.scorer(None)?, &translated, &[gate.metric.parse()?]).await?;
    let other = values.into_iter().next().unwrap_or_default();
    let interval = teasel_model::bootstrap::ratio_interval(&own, &other, compare::RESAMPLES, compare::SEED)?;
    let apart = (users.users() < test.users()).then(|| users.users());
    Ok(Measured::Relative { run: run.clone(), new: mean(&own), old: mean(&other), interval, users: apart })
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
