//! What the plugin asks of the operator.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use teasel_tests::cluster::{Namespace, wait_for};
use teasel_tests::project::Ended;

use super::{CLUSTER, apply_job, apply_schedule, ends_with, set_status, teasel};

/// Runs a command while somebody in the operator's place waits for a request in `object` and writes the status that
/// `answer` makes of it.
fn answered(
    namespace: &Namespace,
    object: &str,
    arguments: &[&str],
    answer: impl Fn(&Value) -> Option<Value> + Sync,
) -> Ended {
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for("a request", || {
                if let Some(status) = answer(&namespace.json(&["get", object])?) {
                    set_status(namespace, object, &status);
                    return Ok(Some(()));
                }
                // A command that failed says more than this thread can.
                Ok(has_ended.load(Ordering::Relaxed).then_some(()))
            })
            .unwrap();
        });
        let ended = teasel(namespace, arguments);
        has_ended.store(true, Ordering::Relaxed);
        ended
    })
}

fn annotation(object: &Value, name: &str) -> Option<String> {
    object["metadata"]["annotations"][name].as_str().map(str::to_owned)
}

/// Answers the newest request to move a pointer, unless it was answered.
fn outcome(object: &Value, outcome: &str, message: &str) -> Option<Value> {
    let request: Value = serde_json::from_str(&annotation(object, "teasel.dev/publish-request")?).unwrap();
    let answered = object["status"]["publishRequest"]["id"] == request["id"];
    let answer = json!({"id": request["id"], "tenant": request["tenant"], "outcome": outcome, "message": message});
    (!answered).then(|| json!({"publishRequest": answer}))
}

#[test]
fn a_retry_is_asked_for_and_answered() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_job(&namespace, "films", None);
    let ended = answered(&namespace, "recjob/films", &["retry", "films"], |job| {
        Some(json!({"phase": "Training", "retry": annotation(job, "teasel.dev/retry")?}))
    });
    assert!(ended.good().contains("tried again; it is Training"));
    // Nobody answers the next one.
    let late = ends_with(teasel(&namespace, &["retry", "films", "--timeout", "1s"]), 75);
    assert!(late.contains("no answer in time"), "{late}");
    teasel(&namespace, &["retry", "films", "--wait=false"]).good();
}

#[test]
fn a_pointer_is_moved_or_the_no_is_told() {
    let namespace = CLUSTER.namespace().unwrap();
    let old = apply_job(&namespace, "films-old", None);
    apply_job(&namespace, "films", None);
    let command = ["rollback", "films", "--to", "films-old", "--hold"];
    let done =
        answered(&namespace, "recjob/films", &command, |job| outcome(job, "RolledBack", "points to it again"));
    assert_eq!(done.good(), "city: points to it again\n");
    let job = namespace.json(&["get", "recjob", "films"]).unwrap();
    let request: Value = serde_json::from_str(&annotation(&job, "teasel.dev/publish-request").unwrap()).unwrap();
    assert_eq!(
        (&request["tenant"], &request["action"], &request["run"], &request["hold"]),
        (&json!("city"), &json!("Rollback"), &json!(old), &json!(true))
    );

    let command = ["release", "films", "--tenant", "city"];
    let refused = answered(&namespace, "recjob/films", &command, |job| outcome(job, "Refused", "somebody else's"));
    assert_eq!(ends_with(refused, 1), "city: Refused: somebody else's\n");
    assert!(ends_with(teasel(&namespace, &["release", "films", "--tenant", "mars"]), 64).contains("it has city"));
    let no_run = ends_with(teasel(&namespace, &["rollback", "films"]), 64);
    assert!(no_run.contains("--to"), "{no_run}");

    // A second request waits for the first one's answer.
    teasel(&namespace, &["release", "films", "--wait=false"]).good();
    ends_with(teasel(&namespace, &["release", "films", "--wait=false"]), 75);
    let waits = ends_with(teasel(&namespace, &["release", "films", "--timeout", "1s"]), 75);
    assert!(waits.contains("nothing was asked for"), "{waits}");
}

#[test]
fn a_manual_job_is_approved() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_job(&namespace, "films", None);
    namespace.patch("recjob", "films", &json!({"spec": {"publish": {"mode": "Manual"}}})).unwrap();
    set_status(&namespace, "recjob/films", &json!({"tenants": [{"name": "city", "phase": "Scored"}]}));
    let ended = answered(&namespace, "recjob/films", &["publish", "films"], |job| {
        (job["spec"]["publish"]["approved"] == true).then(|| {
            let tenants = json!([{"name": "city", "phase": "Published", "message": "it is published"}]);
            json!({"observedGeneration": job["metadata"]["generation"], "tenants": tenants})
        })
    });
    assert_eq!(ended.good(), "city: it is published\n");
    assert!(teasel(&namespace, &["publish", "films"]).good().contains("every tenant is published"));
}

#[test]
fn a_schedules_job_starts_on_request_and_its_tenants_go_back_to_the_run_before() {
    let namespace = CLUSTER.namespace().unwrap();
    apply_schedule(&namespace, "nightly");
    let ended = answered(&namespace, "srecjob/nightly", &["retrain", "nightly"], |schedule| {
        let asked: jiff::Timestamp = annotation(schedule, "teasel.dev/retrain-at")?.parse().unwrap();
        let minute = asked.as_second() / 60;
        apply_job(&namespace, &format!("nightly-{minute}"), Some("nightly"));
        Some(json!({"lastRetrainTime": jiff::Timestamp::from_second(minute * 60).unwrap().to_string()}))
    });
    let started = ended.good();
    assert!(started.contains("has started"), "{started}");

    // A request that leads to nothing is told by an event, after the status.
    let command = ["retrain", "nightly"];
    let ended = answered(&namespace, "srecjob/nightly", &command, |schedule| {
        let asked: jiff::Timestamp = annotation(schedule, "teasel.dev/retrain-at")?.parse().unwrap();
        let minute = jiff::Timestamp::from_second(asked.as_second() / 60 * 60).unwrap();
        let answered = schedule["status"]["lastRetrainTime"].as_str()?.parse::<jiff::Timestamp>().unwrap();
        let is_new = answered < minute;
        is_new.then(|| {
            let about = json!({
                "kind": "ScheduledRecommenderJob", "name": "nightly", "namespace": namespace.name(),
                "uid": schedule["metadata"]["uid"],
            });
            let event = json!({
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": "nightly.1"}, "type": "Warning",
                "reason": "RetrainPassedOver", "message": format!("no job starts for {asked}: the schedule is newer"),
                "involvedObject": about,
            });
            namespace.apply(&event.to_string()).unwrap();
            json!({"lastRetrainTime": minute.to_string()})
        })
    });
    assert!(ends_with(ended, 1).contains("the schedule is newer"));

    let published = json!({"tenants": [{"name": "city", "phase": "Published"}]});
    let old = apply_job(&namespace, "nightly-1", Some("nightly"));
    set_status(&namespace, "recjob/nightly-1", &published);
    // Within a second, names tell which came first.
    let new = apply_job(&namespace, "nightly-2", Some("nightly"));
    set_status(&namespace, "recjob/nightly-2", &published);
    set_status(&namespace, "srecjob/nightly", &json!({"lastPublishedRun": new}));
    // The job, since this release's schema of schedules may have no answer yet.
    let done = answered(&namespace, "recjob/nightly-2", &["rollback", "nightly-2"], |job| {
        outcome(job, "RolledBack", "points to the run before")
    });
    done.good();
    let job = namespace.json(&["get", "recjob", "nightly-2"]).unwrap();
    assert!(annotation(&job, "teasel.dev/publish-request").unwrap().contains(&old));

    teasel(&namespace, &["rollback", "srecjob/nightly", "--wait=false"]).good();
    let schedule = namespace.json(&["get", "srecjob", "nightly"]).unwrap();
    assert!(annotation(&schedule, "teasel.dev/publish-request").unwrap().contains(&old));
}
