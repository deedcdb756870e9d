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
    spec["data"]["template"] = ends_well("prepare");
    spec["training"]["template"] = ends_well("train");
    spec["scoring"]["template"] = ends_well("score");
    job
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
    // What pods look like decides how they end here; the rest of a template is Kubernetes's own.
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

/// Whether a refusal names the field, or one that it is a part of.
fn names_field(refusal: &str, change: &str) -> bool {
    let (path, _) = change.split_once(" = ").unwrap();
    let steps: Vec<&str> = path.split('.').filter(|step| step.parse::<usize>().is_err()).collect();
    // The API server names what it can't take by the whole path, and rules name the field or the one above.
    steps[1..].iter().rev().take(3).any(|step| refusal.contains(step))
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

/// Whether the operator has come to something, and says what.
fn is_judged(object: &Value) -> bool {
    let status = &object["status"];
    if status["observedGeneration"] != object["metadata"]["generation"] {
        return false;
    }
    let says = |kind: &str| {
        condition(status, kind).is_some_and(|found| found["message"].as_str().is_some_and(|said| !said.is_empty()))
    };
    let waits_for =
        |kind: &str| says(kind) && condition(status, kind).is_some_and(|found| found["status"] == "False");
    match object["kind"].as_str() {
        Some("RecommenderJob") => {
            let ended = ["Succeeded", "Failed"].iter().any(|phase| status["phase"] == *phase);
            // What waits says for what: an approval, a node, quota, another attempt.
            let stages = ["Prepared", "Trained", "GatesPassed", "Scored", "Complete"];
            let suspended = condition(status, "Suspended").is_some_and(|found| found["status"] == "True");
            says("Validated") && (ended || suspended || stages.iter().any(|kind| waits_for(kind)))
        }
        _ => says("Valid"),
    }
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
                ensure!(is_judged(&object), "{change}: {:#}", object["status"]);
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
