//! Real nodes run pods that find each other, fail, and come back.

use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Image, POD_IMAGE, alone_with_real_nodes, shared_with_real_nodes, wait_for};
use teasel_tests::project::program;

/// A Job, and a pod for each of `arguments`, all on different nodes, behind a headless Service of the same name.
fn job(name: &str, image: &str, pods: usize, arguments: &[&str]) -> String {
    let labels = json!({"batch.kubernetes.io/job-name": name});
    let spread = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    });
    // What the strictest pod security asks for.
    let security = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let pod = json!({
        "subdomain": name, "restartPolicy": "Never", "topologySpreadConstraints": [spread],
        "containers": [{"name": "main", "image": image, "args": arguments, "securityContext": security}],
    });
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {
            "completions": pods, "parallelism": pods, "completionMode": "Indexed", "backoffLimit": 0,
            "template": {"spec": pod},
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels},
    });
    format!("{job}\n---\n{service}\n")
}

#[test]
fn pods_of_a_job_find_each_other_by_name() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let namespace = cluster.namespace().unwrap();
    namespace.apply(&job("ring", POD_IMAGE, 2, &["meet", "ring-0.ring", "ring-1.ring"])).unwrap();
    namespace.kubectl(&["wait", "--for=condition=Complete", "--timeout=600s", "job/ring"]).unwrap();
    let pods = namespace.json(&["get", "pods"]).unwrap();
    let nodes: Vec<&Value> = pods["items"].as_array().unwrap().iter().map(|pod| &pod["spec"]["nodeName"]).collect();
    assert!(nodes.len() == 2 && nodes[0] != nodes[1], "{nodes:?}");
    for pod in pods["items"].as_array().unwrap() {
        let log = namespace.kubectl(&["logs", pod["metadata"]["name"].as_str().unwrap()]).unwrap();
        assert!(log.contains("met ring-0\n") && log.contains("met ring-1\n"), "{log}");
    }
}

#[test]
fn the_worker_runs_in_an_image_of_its_own() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    cluster.provide(&Image::of_program("teasel.test/worker:1", &program("teasel-worker"))).unwrap();
    let namespace = cluster.namespace().unwrap();
    namespace.apply(&job("worker", "teasel.test/worker:1", 1, &["inspect", "--task", "/missing"])).unwrap();
    namespace.kubectl(&["wait", "--for=condition=Failed", "--timeout=600s", "job/worker"]).unwrap();
    let pods = namespace.json(&["get", "pods"]).unwrap();
    let pod = &pods["items"][0];
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["exitCode"], 64, "{ended}");
    let log = namespace.kubectl(&["logs", pod["metadata"]["name"].as_str().unwrap()]).unwrap();
    assert!(log.contains("can't read /missing"), "{log}");
}

#[test]
fn nodes_fail_and_come_back() {
    let Some(cluster) = alone_with_real_nodes() else { return };
    let cluster: &Cluster = &cluster;
    let nodes = cluster.nodes().unwrap();
    let (off, cut) = (&nodes[0], &nodes[1]);
    let boot = off.run(&["cat", "/proc/1/stat"]).unwrap();
    off.power_off().unwrap();
    cut.cut().unwrap();
    assert!(off.run(&["true"]).is_err());
    assert_eq!(cut.run(&["hostname"]).unwrap().trim(), cut.name(), "it runs on");
    off.wait_until_ready_is("Unknown").unwrap();
    cut.wait_until_ready_is("Unknown").unwrap();
    cut.heal().unwrap();
    off.power_on().unwrap();
    off.wait_until_ready_is("True").unwrap();
    cut.wait_until_ready_is("True").unwrap();
    assert_ne!(off.run(&["cat", "/proc/1/stat"]).unwrap(), boot);

    off.reboot().unwrap();
    let namespace = cluster.namespace().unwrap();
    namespace.apply(&job("ring", POD_IMAGE, 2, &["meet", "ring-0.ring", "ring-1.ring"])).unwrap();
    wait_for("a Job on both nodes", || {
        Ok((namespace.json(&["get", "job", "ring"])?["status"]["succeeded"] == 2).then_some(()))
    })
    .unwrap();
}
