//! ConfigMaps: the task file of an attempt, and the frozen fields of a stage. Neither ever changes.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use teasel_api::spec::RecommenderJob;
use teasel_api::task::{TASK_VERSION, Task, TaskFile};

use super::{BuildError, SCRATCH_FOLDER, attempt_labels, job_labels, metadata, pod};
use crate::job::decide::Start;
use crate::job::stages::FrozenPart;
use crate::names::{FROZEN_LABEL, TENANT_LABEL, frozen};

/// Key of the task file.
pub const TASK_KEY: &str = "task.json";
/// Key of the frozen fields.
pub const FROZEN_KEY: &str = "frozen.json";

/// Share of a container's memory that prepare's queries may use before they spill.
const QUERY_SHARE: f64 = 0.5;
/// The same where the container has no limit, in bytes.
const QUERY_MEMORY: u64 = 1 << 30;

/// The task file of an attempt whose pods are made from `template`.
///
/// # Errors
/// [`BuildError::TaskFile`].
pub fn task_config_map(
    owner: &RecommenderJob,
    start: &Start,
    template: &PodTemplateSpec,
) -> Result<ConfigMap, BuildError> {
    let mut task = start.task.clone();
    if let Task::Prepare(prepare) = &mut task {
        let limit = pod::memory_limit(template);
        prepare.memory_bytes = limit.map_or(QUERY_MEMORY, |bytes| (bytes * QUERY_SHARE) as u64);
        prepare.scratch = Some(SCRATCH_FOLDER.into());
    }
    let processes = match &task {
        Task::Train(train) => train.job.training.processes_per_worker,
        _ => 1,
    };
    let file = TaskFile {
        version: TASK_VERSION.into(),
        attempt: start.number,
        // The worker reads its Job's UID from its environment.
        incarnation: String::new(),
        generation: start.generation,
        threads_per_process: (pod::cores(template) / processes).max(1),
        task,
    };
    let json = serde_json::to_string(&file).map_err(BuildError::TaskFile)?;
    Ok(ConfigMap {
        metadata: metadata(owner, &start.name, attempt_labels(owner, start)),
        data: Some([(TASK_KEY.to_owned(), json)].into()),
        immutable: Some(true),
        ..ConfigMap::default()
    })
}

/// The frozen fields of a stage.
pub fn frozen_config_map(owner: &RecommenderJob, part: &FrozenPart) -> ConfigMap {
    let name = owner.metadata.name.as_deref().unwrap_or_default();
    let uid = owner.metadata.uid.as_deref().unwrap_or_default();
    let mut labels = job_labels(owner);
    labels.insert(FROZEN_LABEL.into(), part.label().into());
    labels.extend(part.tenant().map(|tenant| (TENANT_LABEL.to_owned(), tenant.to_owned())));
    ConfigMap {
        metadata: metadata(owner, &frozen(name, uid, part.label(), part.tenant(), &part.hash()), labels),
        data: Some([(FROZEN_KEY.to_owned(), part.json())].into()),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}
