//! From an object to a job that can be worked on, or everything that is wrong with it.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde_json::Value;
use teasel_api::resolved::Job;
use teasel_api::spec::{PodTemplate, RecommenderJob, RecommenderJobSpec, ScheduledRecommenderJob};
use teasel_api::{Violation, resolve, resolve_schedule};

use crate::configuration::Configuration;

/// Fields of a pod template that hold the name of a secret, as object or text.
const SECRET_FIELDS: [&str; 6] =
    ["secretRef", "secretKeyRef", "nodePublishSecretRef", "secretName", "secret", "imagePullSecrets"];

/// Resolves a job, and refuses what only a cluster has to refuse.
///
/// # Errors
/// Everything that is wrong.
pub fn validate(job: &RecommenderJob, configuration: &Configuration) -> Result<Job, Vec<Violation>> {
    conclude(resolve(job), &job.spec, "spec", &configuration.allowed_secrets)
}

/// Checks a schedule, and the job of a tick as [`validate`] would.
///
/// # Errors
/// Everything that is wrong.
pub fn validate_schedule(
    schedule: &ScheduledRecommenderJob,
    allowed_secrets: &[String],
) -> Result<(), Vec<Violation>> {
    let spec = &schedule.spec.job_template.spec;
    conclude(resolve_schedule(schedule), spec, "spec.jobTemplate.spec", allowed_secrets).map(drop)
}

/// Adds what is wrong with a job's spec at `path` in a cluster.
fn conclude(
    resolved: Result<Job, Vec<Violation>>,
    spec: &RecommenderJobSpec,
    path: &str,
    allowed_secrets: &[String],
) -> Result<Job, Vec<Violation>> {
    let (resolved, mut found) = match resolved {
        Ok(resolved) => (Some(resolved), Vec::new()),
        Err(violations) => (None, violations),
    };
    let training = spec.training.as_ref().and_then(|training| training.template.as_ref());
    let templates = [
        ("data", spec.data.template.as_ref()),
        ("training", training),
        ("scoring", spec.scoring.template.as_ref()),
    ];
    let secrets = LazyCell::new(|| Secrets { allowed: allowed_secrets, own: own_secrets(spec) });
    for (part, template) in templates {
        if let Some(template) = template {
            let path = format!("{path}.{part}.template");
            check_secrets(template, &path, &secrets, &mut found);
            check_containers(template, &path, &mut found);
        }
    }
    if let Some(resolved) = &resolved {
        check_locations(resolved, path, &mut found);
    }
    match (resolved, found.is_empty()) {
        (Some(resolved), true) => Ok(resolved),
        _ => Err(found),
    }
}

/// Secrets, as a pod template's author may or may not name them.
struct Secrets<'a> {
    /// Those that the platform team allows.
    allowed: &'a [String],
    /// Those of the job's places.
    own: BTreeSet<String>,
}

/// The secrets of a job's places.
fn own_secrets(spec: &RecommenderJobSpec) -> BTreeSet<String> {
    let mut places = spec.clone();
    places.data.template = None;
    places.scoring.template = None;
    if let Some(training) = &mut places.training {
        training.template = None;
    }
    let mut named = Vec::new();
    collect_secrets(&serde_json::to_value(places).unwrap_or_default(), "", &mut named);
    named.into_iter().map(|(_, name)| name).collect()
}

fn violation(path: String, message: impl Into<String>, hint: Option<&str>) -> Violation {
    Violation { path, line: None, message: message.into(), hint: hint.map(str::to_owned) }
}

/// A template may only name secrets that the platform team allows, and never one of the job's own places, though it be
/// allowed: else a tenant's would leak by somebody's `envFrom`.
fn check_secrets(template: &PodTemplate, path: &str, secrets: &Secrets<'_>, found: &mut Vec<Violation>) {
    let mut named = Vec::new();
    // Labels may be called as they like.
    if let Some(spec) = template.0.get("spec") {
        collect_secrets(spec, &format!("{path}.spec"), &mut named);
    }
    for (path, name) in named {
        let why = if secrets.own.contains(&name) {
            "which holds the credentials of a place of the job"
        } else if !secrets.allowed.contains(&name) {
            "which isn't among the chart's allowedSecrets"
        } else {
            continue;
        };
        let hint = "a place's own credentials go into its secretRef, and only its tasks get them";
        found.push(violation(path, format!("names the secret {name}, {why}"), Some(hint)));
    }
}

fn collect_secrets(value: &Value, path: &str, named: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = format!("{path}.{field}");
                if SECRET_FIELDS.contains(&field.as_str()) {
                    names_in(value, &path, named);
                }
                collect_secrets(value, &path, named);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect_secrets(element, &format!("{path}[{index}]"), named);
            }
        }
        _ => {}
    }
}

/// The names right in a field that refers to secrets.
fn names_in(value: &Value, path: &str, named: &mut Vec<(String, String)>) {
    match value {
        Value::String(name) => named.push((path.to_owned(), name.clone())),
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get("name") {
                named.push((format!("{path}.name"), name.clone()));
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                names_in(element, &format!("{path}[{index}]"), named);
            }
        }
        _ => {}
    }
}

/// Another container would keep the Job from ending.
fn check_containers(template: &PodTemplate, path: &str, found: &mut Vec<Violation>) {
    let containers = template.0.get("spec").and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    for (index, container) in containers.into_iter().flatten().enumerate() {
        if container.get("name").and_then(Value::as_str) != Some(crate::names::WORKER_CONTAINER) {
            found.push(violation(
                format!("{path}.spec.containers[{index}].name"),
                "must be worker, the only container that a task's end is read from",
                Some("a sidecar is an initContainer with restartPolicy: Always"),
            ));
        }
    }
}

/// A pod has neither the folder of a job file nor another pod's disk.
fn check_locations(job: &Job, path: &str, found: &mut Vec<Violation>) {
    // Their fields name credentials, and those leave `location` out.
    const INSIDE: [&str; 4] =
        ["data.interactions", "data.items", "model.content.text.encoder", "model.content.image.encoder"];
    let prepared = job.places();
    let training = job.training_places().into_iter().filter(|place| !prepared.contains(place));
    let places = prepared.iter().copied().chain(training).map(|place| {
        let inside = if INSIDE.contains(&place.field) { ".location" } else { "" };
        (format!("{path}.{}{inside}", place.field), place.location)
    });
    let tenants = job.scoring.tenants.iter().enumerate().flat_map(|(index, tenant)| {
        let field = move |name: &str| format!("{path}.scoring.tenants[{index}].{name}");
        let catalog = tenant.catalog.as_ref().map(|catalog| (field("catalog.location"), catalog));
        std::iter::once((field("output"), &tenant.output)).chain(catalog)
    });
    for (path, location) in places.chain(tenants) {
        if !location.uri.contains("://") {
            let message = "must be a URL in a cluster: pods don't have the job file's folder";
            found.push(violation(format!("{path}.uri"), message, Some("for example s3://bucket/path")));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
