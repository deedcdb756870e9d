//! Retraining by the clock, and on request; and what is published meanwhile.

use std::time::Duration;

use serde_json::{Value, json};
use teasel_tests::cluster::{shared_with_real_nodes, wait_for};

use crate::place::{Place, condition};

/// A place with a schedule `nightly`.
struct Schedule<'a>(Place<'a>);

impl Schedule<'_> {
    /// Applies the schedule, with a gate, and with jobs as `change` leaves their spec.
    fn apply(&self, gate: f64, change: impl FnOnce(&mut Value)) {
        let mut spec = self.0.spec();
        spec["gates"] =
            json!([{"metric": "ndcg@100", "minimum": gate}, {"metric": "ndcg@100", "relativeToPublished": 0.5}]);
        change(&mut spec);
        let schedule = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": {"name": "nightly"},
            "spec": {
                "schedule": "* * * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid",
                "successfulJobsHistoryLimit": 9,
                "jobTemplate": {"metadata": {"labels": {"team": "films"}}, "spec": spec},
            },
        });
        self.0.namespace.apply(&schedule.to_string()).unwrap();
    }

    fn patch(&self, patch: &Value) {
        self.0.namespace.patch("srecjob", "nightly", patch).unwrap();
    }

    fn annotate(&self, name: &str, value: &str) {
        let annotation = format!("teasel.dev/{name}={value}");
        self.0.namespace.kubectl(&["annotate", "srecjob", "nightly", "--overwrite", &annotation]).unwrap();
    }

    fn wait(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let status = self.0.namespace.json(&["get", "srecjob", "nightly"])?["status"].clone();
            anyhow::ensure!(ready(&status), "{status:#}");
            Ok(Some(status))
        })
        .unwrap()
    }

    fn jobs(&self) -> Vec<Value> {
        let newest = "--sort-by=.metadata.name";
        let jobs = self.0.namespace.json(&["get", "recommenderjobs", newest]).unwrap();
        jobs["items"].as_array().unwrap().clone()
    }

    /// Waits until the newest job has ended, and returns it.
    fn newest(&self, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let newest = self.jobs().pop().unwrap_or_default();
            anyhow::ensure!(ready(&newest["status"]), "{newest:#}");
            Ok(Some(newest))
        })
        .unwrap()
    }

    /// Lets one tick come, after which there are so many jobs: the next one might overtake what is done meanwhile.
    fn tick(&self, jobs: usize) {
        self.patch(&json!({"spec": {"suspend": false}}));
        self.wait("a tick", |_| self.jobs().len() >= jobs);
        self.patch(&json!({"spec": {"suspend": true}}));
    }

    /// Asks for a job, and returns it once it has ended.
    fn retrain(&self, what: &str) -> Value {
        std::thread::sleep(until_a_new_minute());
        let before = self.jobs().len();
        self.0.teasel(&["retrain", "nightly"]);
        let job = self.newest(what, |status| self.jobs().len() > before && has_ended(status));
        assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
        job
    }

    /// Makes a request, and returns the answer.
    fn request(&self, request: &Value) -> Value {
        self.annotate("publish-request", &request.to_string());
        let status = self.wait("an answer", |status| {
            let answer = &status["publishRequest"];
            answer["id"] == request["id"] && answer["outcome"].is_string()
        });
        status["publishRequest"].clone()
    }
}

fn has_ended(status: &Value) -> bool {
    ["Complete", "Failed"].iter().any(|kind| condition(status, kind).is_some_and(|found| found["status"] == "True"))
}

/// Each minute is one tick at most, also of those that are asked for.
fn until_a_new_minute() -> Duration {
    let second = jiff::Timestamp::now().as_second().rem_euclid(60);
    Duration::from_secs(61 - second.unsigned_abs())
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_publish_unless_a_gate_or_a_hold_forbids_it() {
    let Some(cluster) = shared_with_real_nodes() else { return };
    let schedule = Schedule(Place::make(&cluster).await);
    schedule.apply(0.001, |_| {});
    schedule.wait("a next tick", |status| status["nextScheduleTime"].is_string());
    schedule.tick(1);
    let first = schedule.wait("a tick's run to be published", |status| {
        status["lastPublishedRun"].is_string() && status["lastSuccessfulTime"].is_string()
    });
    let first = first["lastPublishedRun"].as_str().unwrap().to_owned();
    assert_eq!(schedule.0.published_run().await.as_ref(), Some(&first));

    // The next tick's gate can't be met: what is published stays.
    schedule.apply(0.999, |_| {});
    schedule.tick(2);
    let failed = schedule.newest("a tick that fails", |status| status["phase"] == "Failed");
    assert_eq!(condition(&failed["status"], "Failed").unwrap()["reason"], "GateNotMet", "{failed:#}");
    assert_eq!(schedule.0.published_run().await.as_ref(), Some(&first));
    let status = schedule.wait("it to be seen", |status| status["active"].is_null());
    assert_eq!(status["lastPublishedRun"], *first);

    // A template of which no job could run starts nothing, and says so at once.
    schedule.apply(0.001, |spec| spec["storage"]["uri"] = json!("nowhere://x"));
    schedule.wait("the template to be refused", |status| {
        condition(status, "Valid").is_some_and(|valid| valid["reason"] == "InvalidJobTemplate")
    });

    // With it and the gate mended the third tick publishes.
    schedule.apply(0.001, |_| {});
    schedule.tick(3);
    let third = schedule.wait("another run to be published", |status| {
        status["lastPublishedRun"].is_string() && status["lastPublishedRun"] != *first
    });
    let third = third["lastPublishedRun"].as_str().unwrap().to_owned();
    assert_eq!(schedule.0.published_run().await.as_ref(), Some(&third));

    // Back to the first, and nothing newer until that is released.
    schedule.wait("no next tick", |status| status["nextScheduleTime"].is_null() && status["active"].is_null());
    schedule.0.teasel(&["rollback", "srecjob/nightly", "--tenant", "city", "--to", &first, "--hold"]);
    assert_eq!(schedule.0.published_run().await.as_ref(), Some(&first));
    schedule.wait("what people see to be known", |status| status["lastPublishedRun"] == *first);
    let held = schedule.retrain("a run that is held");
    assert_eq!(condition(&held["status"], "Published").unwrap()["status"], "False", "{held:#}");
    assert_eq!(held["status"]["tenants"][0]["outcome"], "Held", "{held:#}");
    assert_eq!(schedule.0.published_run().await.as_ref(), Some(&first));

    schedule.0.teasel(&["release", "srecjob/nightly", "--tenant", "city"]);
    let answer = schedule.request(&json!({"id": "moon", "tenant": "moon", "action": "Release"}));
    assert_eq!(answer["outcome"], "Refused", "{answer}");
    let last = schedule.retrain("a run that is published again");
    let run = last["metadata"]["uid"].as_str().unwrap();
    assert_eq!(schedule.0.published_run().await.as_deref(), Some(run));
    schedule.wait("the last run to be known", |status| status["lastPublishedRun"] == run);

    let jobs = schedule.jobs();
    let ticks = jobs.iter().filter(|job| job["metadata"]["labels"]["team"] == "films").count();
    assert!(ticks == jobs.len() && ticks >= 5, "{jobs:#?}");
    let table = schedule.0.namespace.kubectl(&["get", "scheduledrecommenderjobs"]).unwrap();
    assert!(table.contains("Europe/Berlin") && table.contains("* * * * *") && table.contains("ACTIVE"), "{table}");
}
