//! How statuses look.

use jiff::Timestamp;
use rstest::{Context, rstest};
use serde_json::{Value, json};

use super::{Subject, list};

const WIDTH: usize = 90;

fn now() -> Timestamp {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2030-01-01T11:00:00Z",
    })
}

fn job(name: &str, status: Value) -> Subject {
    let spec = json!({
        "storage": {"uri": "s3://a"}, "scoring": {"tenants": []},
        "data": {"interactions": {"location": {"uri": "s3://a"}, "columns": {"user": "u", "item": "i"}}},
    });
    let metadata = json!({
        "name": name, "namespace": "shop", "creationTimestamp": "2030-01-01T10:00:00Z",
        "labels": {"teasel.dev/schedule": "nightly"},
    });
    let job = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "RecommenderJob", "metadata": metadata, "spec": spec,
        "status": status,
    });
    Subject::Job(serde_json::from_value(job).unwrap())
}

fn schedule(spec: Value, status: Value) -> Subject {
    let mut schedule = json!({
        "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob",
        "metadata": {"name": "nightly", "namespace": "shop", "creationTimestamp": "2029-12-01T10:00:00Z"},
        "spec": {
            "schedule": "15 3 * * *",
            "jobTemplate": {"spec": {
                "storage": {"uri": "s3://a"}, "scoring": {"tenants": []},
                "data": {"interactions": {"location": {"uri": "s3://a"}, "columns": {"user": "u", "item": "i"}}},
            }},
        },
        "status": status,
    });
    schedule["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    Subject::Schedule(serde_json::from_value(schedule).unwrap())
}

/// Training, after it went wrong twice.
fn training() -> Value {
    json!({
        "phase": "Training", "reason": "Training", "run": "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d",
        "startTime": "2030-01-01T10:00:05Z",
        "conditions": [
            condition("Validated", "False", "FrozenFieldChanged", "fields of Data were changed after work had begun"),
            condition("Prepared", "True", "Prepared", "the dataset is prepared"),
            condition("Trained", "False", "Training", "attempt 3 is training with two workers"),
            condition("Restarting", "False", "Running", "it runs again"),
        ],
        "attempts": [
            {"task": "prepare", "number": 1, "hash": "a", "startTime": "2030-01-01T10:00:05Z",
             "endTime": "2030-01-01T10:05:00Z", "outcome": "Succeeded"},
            {"task": "train", "number": 2, "hash": "b", "startTime": "2030-01-01T10:05:00Z",
             "endTime": "2030-01-01T11:15:00Z", "outcome": "OutOfMemory", "reason": "OutOfMemory",
             "message": "pod films-train-2-0 ran out of memory (its limit is 2Gi); raise resources.limits.memory"},
            {"task": "train", "number": 3, "hash": "b", "startTime": "2030-01-01T11:15:00Z"},
        ],
        "restarts": {"failures": 1, "outOfMemory": 1},
        "disruptions": {"total": 3, "nodeFailure": 2, "eviction": 1},
        "workers": {"desired": 2, "ready": 1},
        "progress": {"epoch": 5, "epochs": 10, "step": 4500, "percent": 45, "loss": 312.40625,
                     "usersPerSecond": 1234.5, "estimatedCompletion": "2030-01-01T12:12:30Z"},
        "checkpoint": {"step": 4400, "time": "2030-01-01T11:59:25Z", "uri": "s3://a"},
        "tenants": [{"name": "city", "phase": "Pending"}, {"name": "campus", "phase": "Pending"}],
    })
}

fn ended(phase: &str, conditions: Value, tenants: Value) -> Value {
    json!({
        "phase": phase, "reason": conditions.as_array().unwrap().last().unwrap()["reason"],
        "run": "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d",
        "startTime": "2030-01-01T10:00:00Z", "completionTime": "2030-01-01T11:30:00Z",
        "conditions": conditions, "tenants": tenants, "publishedTenants": 1,
        "workers": {"desired": 0, "ready": 0},
        "progress": {"epoch": 10, "epochs": 10, "step": 10000, "percent": 100, "loss": 300.5},
        "metrics": [{"name": "ndcg@100", "value": 0.4022}, {"name": "recall@20", "value": 0.3685}],
        "publishRequest": {"id": "1", "tenant": "city", "outcome": "Released",
                           "message": "later runs may be published again"},
    })
}

fn succeeded() -> Value {
    let conditions = json!([
        condition("Prepared", "True", "Prepared", "-"),
        condition("Trained", "True", "Trained", "-"),
        condition("GatesPassed", "True", "GatesPassed", "-"),
        condition("Scored", "True", "Scored", "2 of 2 tenants are scored"),
        condition("Complete", "True", "Complete", "the job is done"),
        condition("Published", "False", "NotPublished", "1 of 2 tenants point to this run"),
    ]);
    let tenants = json!([
        {"name": "campus", "phase": "Published", "users": 373, "publishedAt": "2030-01-01T11:29:00Z",
         "outcome": "Published"},
        {"name": "city", "phase": "NotPublished", "users": 570, "outcome": "Held",
         "message": "a rollback holds; release it to publish again"},
    ]);
    ended("Succeeded", conditions, tenants)
}

/// A thousand tenants, of which some have failed.
fn failed() -> Value {
    let tenants = (0..1000).map(|index| match index {
        40 | 80 => json!({"name": format!("t{index}"), "phase": "Failed", "outcome": "PermissionDenied",
                          "message": "the output can't be written"}),
        0..700 => json!({"name": format!("t{index}"), "phase": "Published", "users": 7}),
        _ => json!({"name": format!("t{index}"), "phase": "Pending"}),
    });
    let conditions = json!([
        condition("Prepared", "True", "Prepared", "-"),
        condition("Trained", "True", "Trained", "-"),
        condition("GatesPassed", "True", "GatesPassed", "-"),
        condition("Scored", "False", "TenantsFailed", "2 of 1000 tenants failed"),
        condition("Failed", "True", "TenantsFailed", "2 of 1000 tenants failed; t40: the output can't be written"),
    ]);
    ended("Failed", conditions, tenants.collect())
}

fn suspended() -> Value {
    json!({
        "phase": "Suspended", "reason": "Suspended", "startTime": "2030-01-01T10:00:00Z",
        "conditions": [
            condition("Restarting", "False", "Suspended", "the job is suspended"),
            condition("Prepared", "True", "Prepared", "-"),
            condition("Suspended", "True", "Suspended", "nothing runs; unset spec.suspend to go on"),
        ],
        "progress": {"epoch": 5, "epochs": 10, "step": 4500, "percent": 45,
                     "estimatedCompletion": "2030-01-01T12:12:30Z"},
    })
}

#[rstest]
#[case::unseen(json!(null))]
#[case::training(training())]
#[case::suspended(suspended())]
#[case::succeeded_with_a_tenant_on_hold(succeeded())]
#[case::failed_for_two_of_a_thousand_tenants(failed())]
fn a_job_is_shown(#[case] status: Value, #[context] context: Context) {
    let name = format!("job_{}", context.description.unwrap());
    insta::assert_snapshot!(name, job("films", status).render(now(), WIDTH));
}

#[rstest]
#[case::unseen(json!({}), json!(null))]
#[case::at_work(
    json!({"timeZone": "Europe/Berlin"}),
    json!({
        "active": ["nightly-29000000"], "lastScheduleTime": "2030-01-01T02:15:00Z",
        "nextScheduleTime": "2030-01-02T02:15:00Z", "lastRetrainTime": "2029-12-24T11:59:00Z",
        "lastSuccessfulTime": "2029-12-31T04:00:00Z", "lastPublishedRun": "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d",
        "lastPublishedScheduleTime": "2029-12-31T02:15:00Z",
        "conditions": [condition("Valid", "True", "Valid", "every field is understood")],
    })
)]
#[case::suspended_with_a_problem(
    json!({"suspend": true}),
    json!({"conditions": [condition("RetrainReadable", "False", "InvalidTime", "the annotation must be a time")]})
)]
fn a_schedule_is_shown(#[case] spec: Value, #[case] status: Value, #[context] context: Context) {
    let name = format!("schedule_{}", context.description.unwrap());
    insta::assert_snapshot!(name, schedule(spec, status).render(now(), WIDTH));
}

#[test]
fn many_are_shown_in_a_line_each() {
    let subjects = [
        job("films", training()),
        job("books", json!(null)),
        job("music", failed()),
        schedule(json!({}), json!({"nextScheduleTime": "2030-01-02T02:15:00Z", "active": ["nightly-29000000"]})),
        schedule(json!({"suspend": true}), json!({"lastScheduleTime": "2030-01-01T02:15:00Z"})),
    ];
    insta::assert_snapshot!("list", list::render(now(), &subjects, true, 120));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [40, 60, 80, 120] {
        for status in [training(), succeeded(), failed(), suspended()] {
            let text = job("films", status).render(now(), width);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} columns of {width}:\n{text}");
        }
    }
}

#[test]
fn only_jobs_end_and_only_by_their_phase() {
    let ends = |status: Value| job("films", status).has_ended();
    assert!(ends(succeeded()) && ends(failed()));
    assert!(!ends(training()) && !ends(suspended()) && !ends(json!(null)));
    assert!(!schedule(json!({}), json!({})).has_ended());
}
