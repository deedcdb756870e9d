//! From the spec that people write to the resolved one: defaults, and everything that the schema can't say.

mod checks;
mod content;
mod data;
mod evaluation;
mod model;
mod schedule;
mod scoring;
mod training;

pub use schedule::resolve_schedule;

use kube::CustomResourceExt;
use serde::Serialize;

use crate::load::{check_metadata, check_object};
use crate::resolved;
use crate::spec::{HistorySpec, PublishMode, PublishSpec, RecommenderJob, RecommenderJobSpec};
use crate::violation::{Path, Violation, Violations};

/// Longest name of a job: with the suffixes of its children, pods' host names stay within 63 characters.
pub const MAXIMUM_JOB_NAME: usize = 40;

/// Fills in every default.
///
/// A namespace that is unset becomes `local`. Relative locations stay as they are: only the caller knows what they
/// are relative to.
///
/// # Errors
/// Everything that is wrong with the job, except what only the data can show. Features of a later release are
/// refused, never ignored.
pub fn resolve(job: &RecommenderJob) -> Result<resolved::Job, Vec<Violation>> {
    let mut found = check_form(job);
    if let Ok(serde_json::Value::Object(metadata)) = serde_json::to_value(&job.metadata) {
        check_metadata(&metadata, &Path::root().field("metadata"), &mut found);
    }
    let name = job.metadata.name.clone().unwrap_or_default();
    checks::object_name(&name, MAXIMUM_JOB_NAME, &Path::root().fields("metadata.name"), &mut found);
    let namespace = job.metadata.namespace.clone().unwrap_or_else(|| "local".into());
    let resolved = resolve_spec(name, namespace, &job.spec, &Path::root().field("spec"), &mut found);
    if found.is_empty() { Ok(resolved) } else { Err(found.into_vec()) }
}

/// Checks an object against its schema: another release's may have let it pass.
fn check_form<K: CustomResourceExt + Serialize>(object: &K) -> Violations {
    match serde_json::to_value(object) {
        Ok(json) => check_object::<K>(&json),
        Err(error) => {
            let mut found = Violations::default();
            found.add(&Path::root(), error.to_string());
            found
        }
    }
}

/// Resolves a spec at `path`, which a schedule's template has elsewhere than a job.
fn resolve_spec(
    name: String,
    namespace: String,
    spec: &RecommenderJobSpec,
    path: &Path,
    found: &mut Violations,
) -> resolved::Job {
    checks::location(&spec.storage, &path.field("storage"), found);
    let data = data::resolve(&spec.data, &path.field("data"), found);
    let items = spec.data.items.as_ref();
    let model = model::resolve(&spec.model.clone().unwrap_or_default(), items, &path.field("model"), found);
    let training = training::resolve(&spec.training.clone().unwrap_or_default(), &path.field("training"), found);
    let gates = evaluation::gates(spec.gates.as_deref().unwrap_or_default(), &path.field("gates"), found);
    let scoring = scoring::resolve(spec, &path.field("scoring"), found);
    resolved::Job {
        name,
        namespace,
        storage: spec.storage.clone(),
        data,
        model,
        training,
        evaluation: evaluation::evaluation(spec.evaluation.as_ref()),
        gates,
        scoring,
        publish: publish(spec.publish.as_ref()),
        history: history(spec.history.as_ref()),
    }
}

fn publish(spec: Option<&PublishSpec>) -> resolved::PublishMode {
    match spec {
        Some(PublishSpec { mode: Some(PublishMode::Manual), approved }) if *approved != Some(true) => {
            resolved::PublishMode::Manual
        }
        _ => resolved::PublishMode::Automatic,
    }
}

fn history(spec: Option<&HistorySpec>) -> resolved::History {
    resolved::History {
        runs: spec.and_then(|history| history.runs).unwrap_or(5),
        days: spec.and_then(|history| history.days).unwrap_or(90),
    }
}
