//! Whom a job's pods may talk with.

use rstest::rstest;

use super::*;
use crate::job::build::network_policy;

fn policy(settings: Value) -> Value {
    let configuration = configuration(|configuration| configuration["networkPolicy"] = settings);
    serde_json::to_value(network_policy(&films(|_| {}), &configuration.network_policy)).unwrap()
}

fn of_namespace(name: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
}

fn own_pods() -> Value {
    json!({"podSelector": {"matchLabels": {"teasel.dev/job-uid": UID}}})
}

#[test]
fn pods_talk_with_their_own_jobs_dns_and_what_the_operator_was_told_and_with_nobody_else() {
    let stores = json!({
        "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 9000, "protocol": "TCP"}],
    });
    let policy = policy(json!({
        "enabled": true,
        "egress": [stores],
        "monitoring": [of_namespace("monitoring")],
        "dns": [of_namespace("kube-system")],
        "operator": of_namespace("teasel-system"),
    }));
    let expected = json!({
        "podSelector": own_pods()["podSelector"],
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [own_pods()]},
            {
                "from": [of_namespace("teasel-system"), of_namespace("monitoring")],
                "ports": [{"port": 9700, "protocol": "TCP"}],
            },
        ],
        "egress": [
            {"to": [own_pods()]},
            {
                "to": [of_namespace("kube-system")],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            },
            stores,
        ],
    });
    assert_eq!(policy["spec"], expected);
}

#[test]
fn where_nothing_is_configured_nobody_is_let_in_from_outside() {
    let spec = policy(json!({"enabled": true}))["spec"].take();
    // A rule without peers would be one for everybody.
    assert_eq!(spec["ingress"], json!([{"from": [own_pods()]}]));
    let dns = json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]});
    assert_eq!(spec["egress"], json!([{"to": [own_pods()]}, dns]));
}

#[rstest]
#[case(false)]
#[case(true)]
fn the_policy_selects_every_pod_of_the_job(#[case] unread: bool) {
    let configuration = configuration(|_| {});
    let job = films(|_| {});
    let policy = policy(json!({"enabled": true}));
    let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
    for start in attempts(job.clone(), &configuration, unread) {
        let pod = pod(&job, &configuration, &start);
        assert!(selected.iter().all(|(label, value)| pod["metadata"]["labels"][label] == *value), "{}", start.key);
    }
}

#[test]
fn a_template_cannot_label_its_pods_as_another_jobs() {
    let job = films(|job| {
        job["spec"]["training"]["template"] = json!({"metadata": {"labels": {"teasel.dev/job-uid": "another"}}});
    });
    let configuration = configuration(|_| {});
    let pod = pod(&job, &configuration, &attempt(&job, &configuration, TaskKind::Train));
    assert_eq!(pod["metadata"]["labels"]["teasel.dev/job-uid"], UID);
}
