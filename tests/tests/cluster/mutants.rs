//! Jobs and schedules of which one field is wrong: each is refused with that field's path, or comes to something, and the
//! operator goes on.
//!
//! After Acto (Gu et al., SOSP 2023), which found such faults in every operator that it looked at.

use anyhow::ensure;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use teasel_tests::cluster::{Cluster, Namespace, Nodes, Options, wait_for};

use crate::crashes::{is_deep, seeded};
use crate::place::condition;
use crate::scale::{ends_well, light_workers};

/// Mutants at once, and how many times.
const BATCH: usize = 50;
const DEEP_BATCHES: usize = 20;

const FULL: &str = include_str!("../../../crates/api/tests/jobs/full.yaml");
const SCHEDULE: &str = include_str!("../../../crates/api/tests/jobs/schedule.yaml");

/// A job that uses every field, and of which nothing is wrong.
fn job(name: &str) -> Value {
    let mut job: Value = serde_saphyr::from_str(FULL).unwrap();
    job["metadata"] = json!({"name": name});
    let spec = &mut job["spec"];
    spec["data"]["template"] = template("prepare");
    spec["training"]["template"] = template("train");
    spec["scoring"]["template"] = template("score");
    job
}

/// A pod template that says much, and whose pods end well at once.
fn template(task: &str) -> Value {
    let mut template = ends_well(task);
    template["metadata"]["labels"] = json!({"team": "recommendations"});
    template["spec"] = json!({
        "nodeSelector": {},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": true, "fsGroup": 1000},
        "containers": [{
            "name": "worker",
            "env": [{"name": "RUST_LOG", "value": "debug"}],
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "16Mi"}},
        }],
    });
    template
}

fn schedule(name: &str) -> Value {
    let mut schedule: Value = serde_saphyr::from_str(SCHEDULE).unwrap();
    schedule["metadata"] = json!({"name": name});
    schedule
}

/// Every place in a value, as the keys and indexes that lead to it.
fn places(value: &Value, path: &mut Vec<Value>, found: &mut Vec<Vec<Value>>) {
    let inner: Vec<(Value, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (json!(key), value)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(index, value)| (json!(index), value)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in inner {
        path.push(step);
        found.push(path.clone());
        places(value, path, found);
        path.pop();
    }
}

fn at<'a>(value: &'a mut Value, path: &[Value]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Value::String(key) => &mut value[key.as_str()],
        index => &mut value[index.as_u64().unwrap() as usize],
    })
}

/// Something else than what stands there.
fn other(random: &mut StdRng, value: &Value) -> Value {
    let texts = [
        "",
        " ",
        "x",
        "a b",
        "ü",
        "../..",
        "s3://",
        "nowhere://x",
        "-1",
        "yes",
        "1e400",
        "${HOME}",
        "a\nb",
        "\u{0}",
    ];
    let numbers = [json!(-1), json!(0), json!(1), json!(0.5), json!(1001), json!(4_294_967_296_u64), json!(1e300)];
    match random.random_range(0..8) {
        0 => Value::Null,
        1 => json!("x".repeat(1000)),
        2 => json!(texts.choose(random).unwrap()),
        3 => numbers.choose(random).unwrap().clone(),
        4 => json!(true),
        5 => json!([]),
        6 => json!({"unknown": 1}),
        // Twice what is there.
        _ => match value {
            Value::Array(elements) => Value::Array(elements.iter().chain(elements).cloned().collect()),
            Value::String(text) => json!(format!("{text}{text}")),
            Value::Number(number) => json!(number.as_f64().unwrap_or_default() * -1000.0),
            Value::Object(fields) => {
                let mut fields = fields.clone();
                fields.insert("unknown".into(), json!("field"));
                Value::Object(fields)
            }
            other => json!([other]),
        },
    }
}

/// An object with one field changed, and that field's path in words.
fn mutate(random: &mut StdRng, mut object: Value) -> (Value, String) {
    let mut found = Vec::new();
    places(&object["spec"], &mut vec![json!("spec")], &mut found);
    // They decide how pods end here.
    found.retain(|path| !path.iter().any(|step| step == "annotations"));
    let path = found.choose(random).unwrap();
    let place = at(&mut object, path);
    let before = place.clone();
    *place = other(random, &before);
    let words: Vec<String> =
        path.iter().map(|step| step.as_str().map_or(step.to_string(), str::to_owned)).collect();
    let change =
        format!("{} = {}", words.join("."), serde_json::to_string(place).unwrap().get(..60).unwrap_or("…"));
    (object, change)
}

/// Whether a refusal names the field by its path, or one of the two that it is a part of: rules of two fields stand there.
fn names_field(refusal: &str, change: &str) -> bool {
    let (path, _) = change.split_once(" = ").unwrap();
    let mut dotted: Vec<String> = Vec::new();
    for step in path.split('.') {
        let before = dotted.last().cloned().unwrap_or_default();
        dotted.push(match (step.parse::<usize>(), before.is_empty()) {
            (Ok(_), _) => format!("{before}[]"),
            (Err(_), true) => step.to_owned(),
            (Err(_), false) => format!("{before}.{step}"),
        });
    }
    let refusal = without_places(refusal);
    dotted[1..].iter().rev().take(3).any(|path| refusal.contains(path))
}

/// Elements of lists are told by their place, or by their name.
fn without_places(text: &str) -> String {
    let mut parts = text.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}[]{}", part.split_once(']').map_or(part, |(_, rest)| rest)))
}

/// Applies mutants, and returns those that were taken.
fn apply(random: &mut StdRng, namespace: &Namespace<'_>, batch: usize) -> Vec<(String, &'static str, String)> {
    let mut taken = Vec::new();
    for number in 0..batch {
        let name = format!("mutant-{number}");
        let is_schedule = number % 5 == 4;
        let (kind, object) = if is_schedule { ("srecjob", schedule(&name)) } else { ("recjob", job(&name)) };
        let (object, change) = mutate(random, object);
        match namespace.apply(&object.to_string()) {
            Ok(_) => taken.push((name, kind, change)),
            Err(refusal) => {
                let refusal = format!("{refusal:#}");
                assert!(names_field(&refusal, &change), "{change}: {refusal}");
            }
        }
    }
    taken
}

/// Reasons of what is under way: who stays at one of them is stuck.
const UNDER_WAY: [&str; 5] = ["Starting", "Running", "Scoring", "Publishing", "Suspending"];

/// Whether the operator has come to something, and says what: the end, a stop, or what it waits for.
///
/// # Errors
/// Where it has refused it by other words than the field's.
fn is_judged(object: &Value, change: &str) -> anyhow::Result<bool> {
    let status = &object["status"];
    if status["observedGeneration"] != object["metadata"]["generation"] {
        return Ok(false);
    }
    let valid = if object["kind"] == "RecommenderJob" { "Validated" } else { "Valid" };
    let Some(valid) = condition(status, valid) else { return Ok(false) };
    let said = valid["message"].as_str().unwrap_or_default();
    if valid["status"] == "False" {
        let change = change.replace("spec.jobTemplate.spec.", "spec.");
        let said = said.replace("spec.jobTemplate.spec.", "spec.");
        ensure!(names_field(&said, &change), "{change}: {said}");
        return Ok(true);
    }
    if object["kind"] != "RecommenderJob" {
        return Ok(!said.is_empty());
    }
    let ended = ["Succeeded", "Failed"].iter().any(|phase| status["phase"] == *phase);
    let suspended = condition(status, "Suspended").is_some_and(|found| found["reason"] == "Suspended");
    // Pods that nothing makes end any more run for ever.
    let path = format!("{}.", change.split(" = ").next().unwrap_or_default());
    let runs = ["data", "training", "scoring"]
        .iter()
        .any(|stage| format!("spec.{stage}.template.metadata.annotations").starts_with(&path));
    let under_way = if runs { &UNDER_WAY[..1] } else { &UNDER_WAY };
    // What waits says for what: a node, quota, another attempt.
    let waits = ["Prepared", "Trained", "GatesPassed", "Scored", "Complete"].iter().any(|kind| {
        condition(status, kind).is_some_and(|found| {
            let under_way = under_way.iter().any(|reason| found["reason"] == *reason);
            found["status"] == "False" && !under_way && !found["message"].as_str().unwrap_or_default().is_empty()
        })
    });
    Ok(ended || suspended || waits)
}

#[test]
fn whatever_field_is_wrong_it_is_refused_by_its_name_or_comes_to_something() {
    let cluster = Cluster::start(&Options::with(Nodes::Fake(5))).unwrap();
    let values = light_workers();
    let mut operator = cluster.run_operator(&values).unwrap();
    let mut random = seeded();
    let (mut refused, mut judged) = (0, 0);
    for _ in 0..if is_deep() { DEEP_BATCHES } else { 1 } {
        let namespace = cluster.namespace().unwrap();
        let taken = apply(&mut random, &namespace, BATCH);
        refused += BATCH - taken.len();
        judged += taken.len();
        for (name, kind, change) in &taken {
            wait_for("the operator to judge a mutant", || {
                cluster.keep_leading(&mut operator)?;
                let object = namespace.json(&["get", kind, name])?;
                ensure!(is_judged(&object, change)?, "{change}: {:#}", object["status"]);
                Ok(Some(()))
            })
            .unwrap();
        }
        cluster.keep_leading(&mut operator).unwrap();
        let log = operator.log().unwrap();
        assert!(!log.contains("panicked"), "{log}");
        let kinds = "scheduledrecommenderjobs,recommenderjobs";
        namespace.kubectl(&["delete", kinds, "--all", "--timeout=300s"]).unwrap();
    }
    println!("{refused} mutants were refused, {judged} were judged");
    assert!(refused > 0 && judged > 0);
}
