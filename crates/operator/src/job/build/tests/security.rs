//! Pod Security's `restricted` profile, and more.

use super::*;

/// A template with a sidecar, an ordinary init container, and a worker that asks for little.
fn with_containers() -> RecommenderJob {
    let template = json!({"spec": {
        "containers": [{"name": "worker", "securityContext": {"capabilities": {}}}],
        "initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}, {"name": "wait", "image": "w"}],
    }});
    films(|job| {
        job["spec"]["training"]["device"] = json!("Cuda");
        for stage in ["data", "training", "scoring"] {
            job["spec"][stage]["template"] = template.clone();
        }
    })
}

/// The pods of all attempts.
fn pods(job: &RecommenderJob) -> Vec<Value> {
    let configuration = configuration(|_| {});
    let attempts = attempts(job.clone(), &configuration, true);
    attempts.iter().map(|start| pod(job, &configuration, start)).collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array());
    lists.into_iter().flatten().flatten()
}

#[test]
fn every_container_of_every_pod_is_restricted() {
    for job in [films(|_| {}), films_on_gpus(), with_containers()] {
        for pod in pods(&job) {
            let expected = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
            assert_eq!(pod["spec"]["securityContext"], expected);
            for container in containers(&pod) {
                let expected = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                });
                assert_eq!(container["securityContext"], expected, "{container}");
            }
        }
    }
}

#[test]
fn no_pod_has_a_kubernetes_token_or_the_hosts_namespaces() {
    for pod in pods(&with_containers()) {
        let spec = &pod["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false);
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(spec[field], Value::Null, "{field}");
        }
        let kinds = ["name", "configMap", "emptyDir"];
        for volume in spec["volumes"].as_array().unwrap() {
            assert!(volume.as_object().unwrap().keys().all(|kind| kinds.contains(&kind.as_str())), "{volume}");
        }
    }
}

#[test]
fn a_template_cannot_ask_for_a_token() {
    let job = films(|job| {
        job["spec"]["training"]["template"] = json!({"spec": {"automountServiceAccountToken": true}});
    });
    for pod in pods(&job) {
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    }
}

#[test]
fn what_a_template_says_of_security_stands() {
    let own = json!({"readOnlyRootFilesystem": false, "runAsUser": 1000, "capabilities": {"add": ["IPC_LOCK"]}});
    let job = films(|job| {
        job["spec"]["training"]["template"] =
            json!({"spec": {"containers": [{"name": "worker", "securityContext": own}]}});
    });
    let configuration = configuration(|_| {});
    let pod = pod(&job, &configuration, &attempt(&job, &configuration, TaskKind::Train));
    let expected = json!({
        "readOnlyRootFilesystem": false,
        "runAsUser": 1000,
        "capabilities": {"add": ["IPC_LOCK"], "drop": ["ALL"]},
        "allowPrivilegeEscalation": false,
    });
    assert_eq!(containers(&pod).next().unwrap()["securityContext"], expected);
}
