//! What is created, found and brought up to date in a cluster.
#![allow(clippy::unwrap_used, clippy::panic)]

use rstest::rstest;
use serde_json::{Value, json};

use teasel_api::task::Task;

use super::*;
use crate::fake_cluster::FakeCluster;
use crate::job::build::tests::{attempts, configuration, films};
use crate::job::stages::FrozenPart;

/// A configuration by which workers reach one address.
fn reaching(cidr: &str) -> Configuration {
    let egress = json!([{"to": [{"ipBlock": {"cidr": cidr}}]}]);
    configuration(|configuration| configuration["networkPolicy"] = json!({"enabled": true, "egress": egress}))
}

/// The first two attempts at scoring: one for each tenant.
fn scores() -> [Start; 2] {
    let attempts = attempts(films(|_| {}), &reaching("10.0.0.0/8"), false).into_iter();
    let scores: Vec<Start> = attempts.filter(|start| start.key.kind == TaskKind::Score).collect();
    scores.try_into().unwrap()
}

async fn start(cluster: &FakeCluster, configuration: &Configuration, start: &Start) -> Result<(), ApplyError> {
    begin(&cluster.client(), configuration, &films(|_| {}), start).await
}

/// The object that an attempt was refused for, since its name is another's.
fn taken(error: ApplyError) -> String {
    let ApplyError::Refused { message, may_pass: false, .. } = error else { panic!("{error}") };
    message.split(" exists and isn't this attempt's").next().unwrap().to_owned()
}

const POLICY: &str = "/networkpolicies/films-0b5a7c1e";

#[tokio::test]
async fn a_corrected_egress_reaches_a_job_that_runs_with_its_next_attempt() {
    let cluster = FakeCluster::default();
    let [first, second] = scores();
    start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    cluster.edit(POLICY, |policy| policy["metadata"]["annotations"] = json!({"note": "somebody else's"}));
    start(&cluster, &reaching("192.168.0.0/16"), &second).await.unwrap();
    let policy = cluster.object(POLICY).unwrap();
    let last = policy["spec"]["egress"].as_array().unwrap().last().unwrap();
    assert_eq!(last["to"], json!([{"ipBlock": {"cidr": "192.168.0.0/16"}}]));
    assert_eq!(policy["metadata"]["annotations"]["note"], "somebody else's");
}

#[tokio::test]
async fn a_network_policy_that_says_what_it_should_is_not_written_again() {
    let cluster = FakeCluster::default();
    for attempt in scores() {
        start(&cluster, &reaching("10.0.0.0/8"), &attempt).await.unwrap();
    }
    assert!(cluster.requests().iter().all(|asked| asked.verb != "update"), "{:?}", cluster.requests());
}

#[tokio::test]
async fn what_is_somebody_elses_is_neither_changed_nor_taken_for_ours() {
    let cluster = FakeCluster::default();
    let [first, second] = scores();
    start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    cluster.edit(POLICY, |policy| policy["metadata"]["ownerReferences"][0]["uid"] = json!("another"));
    let before = cluster.object(POLICY);
    let refused = start(&cluster, &reaching("192.168.0.0/16"), &second).await.unwrap_err();
    assert_eq!(taken(refused), "NetworkPolicy films-0b5a7c1e");
    assert_eq!(cluster.object(POLICY), before);
}

#[tokio::test]
async fn an_attempt_that_is_begun_twice_is_there_once() {
    let cluster = FakeCluster::default();
    let [first, _] = scores();
    for _ in 0..2 {
        start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    }
    assert!(cluster.object(&format!("/jobs/{}", first.name)).is_some());
}

#[rstest]
#[case::another_tenants("teasel.dev/tenant", "campus")]
#[case::another_tasks("teasel.dev/task", "publish")]
#[case::another_attempts("teasel.dev/attempt", "2")]
#[tokio::test]
async fn an_object_of_the_same_job_and_name_is_not_the_attempts_if_it_is(#[case] label: &str, #[case] value: &str) {
    let cluster = FakeCluster::default();
    let [first, _] = scores();
    start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    cluster.edit(&format!("/jobs/{}", first.name), |job| job["metadata"]["labels"][label] = json!(value));
    let refused = start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap_err();
    assert_eq!(taken(refused), format!("Job {}", first.name));
}

#[tokio::test]
async fn an_object_whose_labels_somebody_took_off_is_made_anew() {
    let cluster = FakeCluster::default();
    let [first, _] = scores();
    start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    let path = format!("/configmaps/{}", first.name);
    let labels = cluster.object(&path).unwrap()["metadata"]["labels"].clone();
    cluster.edit(&path, |map| map["metadata"]["labels"] = Value::Null);
    start(&cluster, &reaching("10.0.0.0/8"), &first).await.unwrap();
    assert_eq!(cluster.object(&path).unwrap()["metadata"]["labels"], labels);
}

#[tokio::test]
async fn nothing_is_started_from_fields_that_could_not_be_written_down() {
    let cluster = FakeCluster::default();
    let job = films(|_| {});
    let [first, _] = scores();
    let Task::Score(score) = &first.task else { panic!("{first:?}") };
    let part = FrozenPart::Tenant { tenant: score.tenant.clone(), shards: score.shards };
    let actions = vec![Action::Freeze(Box::new(part.clone())), Action::Start(Box::new(first.clone()))];
    let decision = Decision { actions, ..Decision::default() };
    let client = cluster.client();
    apply(&client, &reaching("10.0.0.0/8"), &job, &decision).await.unwrap();

    let frozen = build::frozen_config_map(&job, &part).name_any();
    cluster.edit(&format!("/configmaps/{frozen}"), |map| {
        map["metadata"]["ownerReferences"][0]["uid"] = json!("another");
    });
    let refused = apply(&client, &reaching("10.0.0.0/8"), &job, &decision).await.unwrap_err();
    assert_eq!(taken(refused), format!("ConfigMap {frozen}"));

    // What is to end ends all the same.
    let end = Action::DeleteAttempt { name: first.name.clone(), uid: "uid".into() };
    let decision = Decision { actions: vec![Action::Freeze(Box::new(part)), end], ..Decision::default() };
    apply(&client, &reaching("10.0.0.0/8"), &job, &decision).await.unwrap_err();
    assert!(cluster.object(&format!("/jobs/{}", first.name)).is_none());
}

#[tokio::test]
async fn of_an_attempt_without_a_job_only_what_is_the_jobs_own_goes() {
    let cluster = FakeCluster::default();
    let [first, second] = scores();
    for start in [&first, &second] {
        super::tests::start(&cluster, &reaching("10.0.0.0/8"), start).await.unwrap();
    }
    cluster.edit(&format!("/configmaps/{}", second.name), |map| {
        map["metadata"]["ownerReferences"][0]["uid"] = json!("another");
    });
    for (start, is_left) in [(first, false), (second, true)] {
        let action = Action::DeleteAttempt { name: start.name.clone(), uid: String::new() };
        carry_out(&cluster.client(), &reaching("10.0.0.0/8"), &films(|_| {}), &action).await.unwrap();
        assert_eq!(cluster.object(&format!("/configmaps/{}", start.name)).is_some(), is_left);
    }
}

/// The rules of the chart's role.
fn rules() -> Vec<Value> {
    let helpers = include_str!("../../../../../charts/teasel/templates/_helpers.tpl");
    let (_, rest) = helpers.split_once("{{- define \"teasel.rules\" -}}").unwrap();
    let (rules, _) = rest.split_once("{{- end -}}").unwrap();
    serde_saphyr::from_str(rules).unwrap()
}

#[tokio::test]
async fn the_charts_role_allows_everything_that_is_done_for_a_job() {
    let cluster = FakeCluster::default();
    let job = films(|_| {});
    for configuration in [reaching("10.0.0.0/8"), reaching("192.168.0.0/16")] {
        for start in attempts(job.clone(), &configuration, true) {
            // Twice: what exists is read.
            for _ in 0..2 {
                begin(&cluster.client(), &configuration, &job, &start).await.unwrap();
            }
        }
    }
    for start in attempts(job.clone(), &reaching("10.0.0.0/8"), true) {
        let action = Action::DeleteAttempt { name: start.name, uid: "uid".into() };
        carry_out(&cluster.client(), &reaching("10.0.0.0/8"), &job, &action).await.unwrap();
    }
    let has = |rule: &Value, field: &str, value: &str| rule[field].as_array().unwrap().contains(&json!(value));
    let rules = rules();
    for asked in cluster.requests() {
        let allowed = rules.iter().any(|rule| {
            has(rule, "apiGroups", &asked.group)
                && has(rule, "resources", &asked.resource)
                && has(rule, "verbs", asked.verb)
        });
        assert!(allowed, "{asked:?}");
    }
}
