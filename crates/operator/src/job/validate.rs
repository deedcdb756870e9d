//! From an object to a job that can be worked on, or everything that is wrong with it.

use serde_json::Value;
use teasel_api::resolved::Job;
use teasel_api::spec::{PodTemplate, RecommenderJob};
use teasel_api::{Violation, resolve};

use crate::configuration::Configuration;

/// Fields of a pod template that hold the name of a secret, as object or text.
const SECRET_FIELDS: [&str; 6] =
    ["secretRef", "secretKeyRef", "nodePublishSecretRef", "secretName", "secret", "imagePullSecrets"];

/// Resolves a job, and refuses what only a cluster has to refuse.
///
/// # Errors
/// Everything that is wrong.
pub fn validate(job: &RecommenderJob, configuration: &Configuration) -> Result<Job, Vec<Violation>> {
    let mut found = Vec::new();
    let resolved = match resolve(job) {
        Ok(resolved) => Some(resolved),
        Err(violations) => {
            found.extend(violations);
            None
        }
    };
    let spec = &job.spec;
    let training = spec.training.as_ref().and_then(|training| training.template.as_ref());
    let templates = [
        ("spec.data.template", spec.data.template.as_ref()),
        ("spec.training.template", training),
        ("spec.scoring.template", spec.scoring.template.as_ref()),
    ];
    for (path, template) in templates {
        if let Some(template) = template {
            check_secrets(template, path, configuration, &mut found);
            check_containers(template, path, &mut found);
        }
    }
    if let Some(resolved) = &resolved {
        check_locations(resolved, &mut found);
    }
    match (resolved, found.is_empty()) {
        (Some(resolved), true) => Ok(resolved),
        _ => Err(found),
    }
}

fn violation(path: String, message: impl Into<String>, hint: Option<&str>) -> Violation {
    Violation { path, line: None, message: message.into(), hint: hint.map(str::to_owned) }
}

/// A template may only name secrets that the platform team allows: else a tenant's would leak by somebody's `envFrom`.
fn check_secrets(template: &PodTemplate, path: &str, configuration: &Configuration, found: &mut Vec<Violation>) {
    let mut named = Vec::new();
    collect_secrets(&Value::Object(template.0.clone()), path, &mut named);
    for (path, name) in named {
        if !configuration.allowed_secrets.contains(&name) {
            let message = format!("names the secret {name}, which isn't among the chart's allowedSecrets");
            found.push(violation(path, message, Some("a place's own credentials go into its secretRef")));
        }
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
fn check_locations(job: &Job, found: &mut Vec<Violation>) {
    let places = job.places().into_iter().map(|place| (format!("spec.{}", place.field), place.location));
    let tenants = job.scoring.tenants.iter().enumerate().flat_map(|(index, tenant)| {
        let field = move |name: &str| format!("spec.scoring.tenants[{index}].{name}");
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
