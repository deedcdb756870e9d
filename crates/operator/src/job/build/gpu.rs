//! What a pod that trains on GPUs needs beside the rest: the GPUs, shared memory for NCCL, and words where that fails.

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, PodSpec, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use teasel_api::resolved::Device;
use teasel_api::task::Task;

use crate::job::decide::Start;
use crate::names::GPU_RESOURCE;

/// What every resource of NVIDIA's device plugin starts with, those of parts of a GPU too.
const VENDOR: &str = "nvidia.com/";
/// NCCL's ranks on one node talk through files here. A container's own has 64 MiB.
const SHARED_MEMORY: &str = "/dev/shm";
const SHARED_MEMORY_VOLUME: &str = "shared-memory";

/// GPUs of each pod, where training uses some: one for each rank.
pub(super) fn count(start: &Start) -> Option<u32> {
    match &start.task {
        Task::Train(train) if train.job.training.device == Device::Cuda => {
            Some(train.job.training.processes_per_worker)
        }
        _ => None,
    }
}

/// Gives the worker `gpus` GPUs, unless its template says which resource of NVIDIA's it gets, or how many.
pub(super) fn complete_worker(worker: &mut Container, gpus: u32) {
    let resources = worker.resources.get_or_insert_default();
    let limits = resources.limits.get_or_insert_default();
    let requests = resources.requests.get_or_insert_default();
    let asked: Vec<(String, Quantity)> = limits
        .iter()
        .chain(requests.iter())
        .filter(|(name, _)| name.starts_with(VENDOR))
        .map(|(name, quantity)| (name.clone(), quantity.clone()))
        .collect();
    let asked = if asked.is_empty() { vec![(GPU_RESOURCE.into(), Quantity(gpus.to_string()))] } else { asked };
    for (name, quantity) in asked {
        // The API server refuses one that differs from the other.
        limits.entry(name.clone()).or_insert_with(|| quantity.clone());
        requests.entry(name).or_insert(quantity);
    }
    worker.volume_mounts.get_or_insert_default().push(VolumeMount {
        name: SHARED_MEMORY_VOLUME.into(),
        mount_path: SHARED_MEMORY.into(),
        ..VolumeMount::default()
    });
    let environment = worker.env.get_or_insert_default();
    // Without it NCCL says nothing of why it failed.
    if !environment.iter().any(|variable| variable.name == "NCCL_DEBUG") {
        environment.push(EnvVar { name: "NCCL_DEBUG".into(), value: Some("WARN".into()), ..EnvVar::default() });
    }
}

/// Lets the pod onto nodes that are kept for GPUs, and gives it memory to share.
pub(super) fn complete_pod(spec: &mut PodSpec) {
    let tolerations = spec.tolerations.get_or_insert_default();
    if !tolerations.iter().any(|toleration| toleration.key.as_deref() == Some(GPU_RESOURCE)) {
        tolerations.push(Toleration {
            key: Some(GPU_RESOURCE.into()),
            operator: Some("Exists".into()),
            effect: Some("NoSchedule".into()),
            ..Toleration::default()
        });
    }
    spec.volumes.get_or_insert_default().push(Volume {
        name: SHARED_MEMORY_VOLUME.into(),
        empty_dir: Some(EmptyDirVolumeSource { medium: Some("Memory".into()), ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use teasel_api::spec::RecommenderJob;
    use teasel_api::task::{Ownership, TaskKind, TrainTask};

    use super::*;
    use crate::configuration::Configuration;
    use crate::job::build::pod_template;
    use crate::job::validate::validate;
    use crate::task_key::TaskKey;

    /// The pod of a training attempt, as JSON.
    fn pod(training: Value) -> Value {
        let job: RecommenderJob = serde_json::from_value(json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob",
            "metadata": {"name": "films", "namespace": "media", "uid": "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d"},
            "spec": {
                "storage": {"uri": "s3://teasel/films"},
                "data": {"interactions": {
                    "location": {"uri": "s3://lake/x.csv"}, "columns": {"user": "u", "item": "i"},
                }},
                "training": training,
                "scoring": {"tenants": [{"name": "all", "output": {"uri": "s3://all/lists"}}]},
            },
        }))
        .unwrap();
        let configuration: Configuration = serde_json::from_value(json!({"workerImage": "worker"})).unwrap();
        let start = Start {
            key: TaskKey::of_job(TaskKind::Train),
            number: 1,
            name: "films-train-1".into(),
            task: Task::Train(TrainTask {
                run: "run".into(),
                ownership: Ownership { owner: "media/films".into(), sequence: 1 },
                job: validate(&job, &configuration).unwrap(),
                dataset: "dataset".into(),
            }),
            indexes: 1,
            parallelism: 1,
            secrets: Vec::new(),
            template: job.spec.training.as_ref().and_then(|training| training.template.clone()),
            generation: 1,
            queue: None,
        };
        let template = pod_template(&job, &start, &configuration).unwrap();
        serde_json::to_value(template.spec.unwrap()).unwrap()
    }

    fn template(resources: Value) -> Value {
        json!({"device": "Cuda", "processesPerWorker": 2,
               "template": {"spec": {"containers": [{"name": "worker", "resources": resources}]}}})
    }

    #[rstest]
    #[case::by_itself(json!({"device": "Cuda", "processesPerWorker": 4}), "nvidia.com/gpu", "4")]
    #[case::beside_memory(template(json!({"limits": {"memory": "8Gi"}})), "nvidia.com/gpu", "2")]
    #[case::as_the_template_limits(template(json!({"limits": {"nvidia.com/gpu": "1"}})), "nvidia.com/gpu", "1")]
    #[case::as_the_template_requests(template(json!({"requests": {"nvidia.com/gpu": "1"}})), "nvidia.com/gpu", "1")]
    #[case::parts(template(json!({"limits": {"nvidia.com/mig-1g.5gb": "2"}})), "nvidia.com/mig-1g.5gb", "2")]
    fn each_rank_gets_a_gpu_unless_the_template_says_otherwise(
        #[case] training: Value,
        #[case] name: &str,
        #[case] quantity: &str,
    ) {
        let pod = pod(training);
        for list in ["limits", "requests"] {
            let list = pod["containers"][0]["resources"][list].as_object().unwrap();
            let gpus: Vec<_> = list.iter().filter(|(name, _)| name.starts_with("nvidia.com/")).collect();
            assert_eq!(gpus, [(&name.to_owned(), &json!(quantity))], "{list:?}");
        }
    }

    #[test]
    fn nccl_gets_memory_to_share_and_may_say_why_it_fails() {
        let pod = pod(json!({"device": "Cuda"}));
        let worker = &pod["containers"][0];
        let mounts = worker["volumeMounts"].as_array().unwrap();
        assert!(mounts.contains(&json!({"name": "shared-memory", "mountPath": "/dev/shm"})), "{mounts:?}");
        let volumes = pod["volumes"].as_array().unwrap();
        assert!(
            volumes.contains(&json!({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})),
            "{volumes:?}"
        );
        assert!(worker["env"].as_array().unwrap().contains(&json!({"name": "NCCL_DEBUG", "value": "WARN"})));
    }

    #[test]
    fn the_templates_own_words_for_nccl_and_its_toleration_stand() {
        let toleration =
            json!({"key": "nvidia.com/gpu", "operator": "Equal", "value": "a100", "effect": "NoSchedule"});
        let debug = json!({"name": "NCCL_DEBUG", "value": "INFO"});
        let given = json!({"spec": {
            "tolerations": [toleration],
            "containers": [{"name": "worker", "env": [debug]}],
        }});
        let pod = pod(json!({"device": "Cuda", "template": given}));
        let of_gpus = |list: &Value, field: &str, name: &str| -> Vec<Value> {
            list.as_array().unwrap().iter().filter(|element| element[field] == name).cloned().collect()
        };
        assert_eq!(of_gpus(&pod["tolerations"], "key", "nvidia.com/gpu"), [toleration]);
        assert_eq!(of_gpus(&pod["containers"][0]["env"], "name", "NCCL_DEBUG"), [debug]);
    }

    #[test]
    fn training_on_cpus_has_nothing_of_gpus() {
        let text = pod(json!({"device": "Cpu", "processesPerWorker": 4})).to_string();
        for word in ["nvidia", "NCCL", "/dev/shm"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}
