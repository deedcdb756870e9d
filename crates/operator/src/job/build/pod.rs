//! The pods of an attempt: the job's template, and what a worker needs.
//!
//! They keep to Pod Security's `restricted` profile where the template says nothing else, and hold no Kubernetes token.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource,
    LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
    SeccompProfile, SecretEnvSource, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Map, Value};
use teasel_api::location::credential_prefix;
use teasel_api::spec::RecommenderJob;
use teasel_api::task::TaskKind;

use super::{
    BuildError, RENDEZVOUS_PORT, SCRATCH_FOLDER, TASK_FOLDER, TASK_KEY, TELEMETRY_PORT, attempt_labels, gpu,
    quantity,
};
use crate::configuration::Configuration;
use crate::job::decide::Start;
use crate::names::WORKER_CONTAINER;

/// How long a worker has for its last checkpoint.
const GRACE_SECONDS: i64 = 120;
/// How long pods stay on a node that is away; by default it is five minutes.
const AWAY_SECONDS: i64 = 30;

/// The template of an attempt's pods.
///
/// # Errors
/// [`BuildError::Template`], which validation has ruled out.
pub fn template(
    owner: &RecommenderJob,
    start: &Start,
    configuration: &Configuration,
) -> Result<PodTemplateSpec, BuildError> {
    let given = start.template.as_ref().map(|template| template.0.clone()).unwrap_or_default();
    let mut template =
        parse(given).map_err(|source| BuildError::Template { task: start.key.kind.as_str(), source })?;
    let metadata = template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().extend(attempt_labels(owner, start));
    let spec = template.spec.get_or_insert_default();
    let position = spec.containers.iter().position(|container| container.name == WORKER_CONTAINER);
    let mut worker = match position {
        Some(position) => spec.containers.remove(position),
        None => Container { name: WORKER_CONTAINER.into(), ..Container::default() },
    };
    complete_worker(&mut worker, start, configuration);
    // First, so that `kubectl logs` shows it.
    spec.containers.insert(0, worker);
    complete_pod(spec, start, configuration);
    Ok(template)
}

fn parse(mut given: Map<String, Value>) -> Result<PodTemplateSpec, serde_json::Error> {
    if let Some(Value::Object(spec)) = given.get_mut("spec") {
        spec.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    serde_json::from_value(Value::Object(given))
}

fn complete_worker(worker: &mut Container, start: &Start, configuration: &Configuration) {
    worker.image.get_or_insert_with(|| configuration.worker_image.clone());
    if worker.image_pull_policy.is_none() {
        worker.image_pull_policy.clone_from(&configuration.image_pull_policy);
    }
    let task = format!("{TASK_FOLDER}/{TASK_KEY}");
    worker.args = Some(vec![start.key.kind.as_str().into(), "--task".into(), task]);
    worker.env.get_or_insert_default().extend(environment(start));
    worker.env_from.get_or_insert_default().extend(start.secrets.iter().map(|(field, secret)| EnvFromSource {
        prefix: Some(credential_prefix(field)),
        secret_ref: Some(SecretEnvSource { name: secret.clone(), optional: None }),
        ..EnvFromSource::default()
    }));
    worker.ports.get_or_insert_default().push(ContainerPort {
        name: Some("telemetry".into()),
        container_port: TELEMETRY_PORT,
        ..ContainerPort::default()
    });
    let mounts = [mount("task", TASK_FOLDER, true), mount("scratch", SCRATCH_FOLDER, false)];
    worker.volume_mounts.get_or_insert_default().extend(mounts);
    if worker.resources.is_none() {
        worker.resources = Some(default_resources(start.key.kind, configuration).clone());
    }
    if let Some(gpus) = gpu::count(start) {
        gpu::complete_worker(worker, gpus);
    }
}

fn default_resources(kind: TaskKind, configuration: &Configuration) -> &ResourceRequirements {
    match kind {
        TaskKind::Prepare => &configuration.defaults.prepare,
        TaskKind::Train => &configuration.defaults.train,
        TaskKind::Score => &configuration.defaults.score,
        _ => &configuration.defaults.other,
    }
}

fn environment(start: &Start) -> Vec<EnvVar> {
    let of = |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), ..EnvVar::default() };
    let mut environment = vec![
        EnvVar {
            name: "TEASEL_INCARNATION".into(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "metadata.labels['batch.kubernetes.io/controller-uid']".into(),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        },
        of("TMPDIR", SCRATCH_FOLDER.into()),
        of("HOME", SCRATCH_FOLDER.into()),
    ];
    if start.key.kind == TaskKind::Train {
        let name = &start.name;
        environment.push(of("TEASEL_RENDEZVOUS", format!("{name}-0.{name}:{RENDEZVOUS_PORT}")));
    }
    environment
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn complete_pod(spec: &mut PodSpec, start: &Start, configuration: &Configuration) {
    spec.restart_policy = Some("Never".into());
    spec.automount_service_account_token = Some(false);
    spec.enable_service_links.get_or_insert(false);
    // Else the worker would be the first process of its namespace, for which the kernel drops a SIGTERM that comes before
    // the program is loaded and listens: the pod would stay until its grace is over.
    spec.share_process_namespace.get_or_insert(true);
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    if start.key.kind == TaskKind::Train {
        spec.subdomain = Some(start.name.clone());
    }
    complete_security(spec.security_context.get_or_insert_default());
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(restrict);
    let secrets = configuration.image_pull_secrets.iter();
    let secrets = secrets.map(|name| LocalObjectReference { name: name.clone() });
    spec.image_pull_secrets.get_or_insert_default().extend(secrets);
    let tolerations = spec.tolerations.get_or_insert_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|toleration| toleration.key.as_deref() == Some(key)) {
            tolerations.push(Toleration {
                key: Some(key.into()),
                operator: Some("Exists".into()),
                effect: Some("NoExecute".into()),
                toleration_seconds: Some(AWAY_SECONDS),
                ..Toleration::default()
            });
        }
    }
    let volumes = spec.volumes.get_or_insert_default();
    volumes.push(Volume {
        name: "task".into(),
        config_map: Some(ConfigMapVolumeSource { name: start.name.clone(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    });
    volumes.push(Volume {
        name: "scratch".into(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: configuration.scratch.size_limit.clone().map(Quantity),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    });
    if gpu::count(start).is_some() {
        gpu::complete_pod(spec);
    }
}

/// Of the template's own containers too: Pod Security asks it of each.
fn restrict(container: &mut Container) {
    let security = container.security_context.get_or_insert_default();
    security.allow_privilege_escalation.get_or_insert(false);
    security.read_only_root_filesystem.get_or_insert(true);
    security.capabilities.get_or_insert_default().drop.get_or_insert_with(|| vec!["ALL".into()]);
}

fn complete_security(security: &mut PodSecurityContext) {
    security.run_as_non_root.get_or_insert(true);
    security
        .seccomp_profile
        .get_or_insert_with(|| SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() });
}

/// Whole cores of the worker's container, by its limit, else its request; at least 1.
pub(super) fn cores(template: &PodTemplateSpec) -> u32 {
    let cores = worker_resources(template).and_then(|resources| {
        let of = |list: &Option<std::collections::BTreeMap<String, Quantity>>| {
            list.as_ref().and_then(|list| quantity::value(list.get("cpu")?))
        };
        of(&resources.limits).or_else(|| of(&resources.requests))
    });
    cores.map_or(1, |cores| (cores as u32).max(1))
}

/// Memory limit of the worker's container, in bytes.
pub(super) fn memory_limit(template: &PodTemplateSpec) -> Option<f64> {
    quantity::value(worker_resources(template)?.limits.as_ref()?.get("memory")?)
}

fn worker_resources(template: &PodTemplateSpec) -> Option<&ResourceRequirements> {
    let containers = &template.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == WORKER_CONTAINER)?.resources.as_ref()
}
