//! Lives of jobs and schedules, from what people apply to the end.

use serde_json::{Value, json};

use crate::place::condition;
use crate::scale::{ends_well, job};
use crate::scene::Living;

/// What people do, and what then happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// A job with two tenants succeeds.
    Plain,
    /// A job is suspended while it trains, and resumed.
    Suspended,
    /// A job's gate isn't met, and then lowered.
    Gate,
    /// A job's training fails more often than it may, and is mended.
    Failing,
    /// A schedule ticks, and is asked for another job.
    Schedule,
    /// A tick's job goes on for too long, and the next one replaces it.
    Replaced,
}

impl Life {
    pub(crate) const ALL: [Life; 6] =
        [Life::Plain, Life::Suspended, Life::Gate, Life::Failing, Life::Schedule, Life::Replaced];

    /// Lives it to its end.
    pub(crate) fn live(self, living: &mut Living<'_>) {
        match self {
            Life::Plain => {
                apply(living, &job("films", 2));
                succeed(living, "films");
            }
            Life::Suspended => {
                let mut job = job("films", 1);
                job["spec"]["training"]["template"] = json!({});
                apply(living, &job);
                living.wait("training", &["recjob", "films"], |job| {
                    job["status"]["phase"] == "Training" && condition(&job["status"], "Prepared").is_some()
                });
                patch(living, "recjob", "films", &json!({"suspend": true}));
                living.wait("a stop", &["recjob", "films"], |job| job["status"]["phase"] == "Suspended");
                let training = json!({"template": ends_well("train")});
                patch(living, "recjob", "films", &json!({"suspend": null, "training": training}));
                succeed(living, "films");
            }
            Life::Gate => {
                let mut job = job("films", 1);
                job["spec"]["gates"] = json!([{"metric": "ndcg@100", "minimum": 0.9}]);
                job["spec"]["training"]["template"] = ends("train", "GateNotMet");
                apply(living, &job);
                living.wait("a gate that isn't met", &["recjob", "films"], |job| {
                    condition(&job["status"], "Failed").is_some_and(|failed| failed["reason"] == "GateNotMet")
                });
                let gates = json!([{"metric": "ndcg@100", "minimum": 0.1}]);
                let training = json!({"template": ends_well("train")});
                patch(living, "recjob", "films", &json!({"gates": gates, "training": training}));
                succeed(living, "films");
            }
            Life::Failing => {
                let mut job = job("films", 1);
                job["spec"]["training"]["failurePolicy"] = json!({"maxFailures": 1});
                job["spec"]["training"]["template"] = fails("train");
                apply(living, &job);
                let failed =
                    living.wait("failures", &["recjob", "films"], |job| job["status"]["phase"] == "Failed");
                assert_eq!(failed["status"]["restarts"]["failures"], 2, "{failed:#}");
                patch(living, "recjob", "films", &json!({"training": {"template": ends_well("train")}}));
                succeed(living, "films");
            }
            Life::Schedule => {
                let ticks = Ticks::start(living, &job("films", 1));
                succeed(living, &ticks.job(4));
                // The next job takes the first one's place.
                let now = jiff::Timestamp::now();
                let asked = format!("teasel.dev/retrain-at={now}");
                let namespace = living.namespace;
                namespace.kubectl(&["annotate", "srecjob", "nightly", &asked]).unwrap();
                succeed(living, &format!("nightly-{}", now.as_second() / 60));
                let published = living.namespace.json(&["get", "recjob", &ticks.job(4)]).unwrap();
                let published = published["metadata"]["uid"].clone();
                living.wait("what is published", &["srecjob", "nightly"], |schedule| {
                    let status = &schedule["status"];
                    status["active"].is_null()
                        && status["lastPublishedRun"].is_string()
                        && status["lastPublishedRun"] != published
                });
            }
            Life::Replaced => {
                let mut slow = job("films", 1);
                slow["spec"]["training"]["template"] = json!({});
                let ticks = Ticks::start(living, &slow);
                living.wait("training", &["recjob", &ticks.job(4)], |job| job["status"]["phase"] == "Training");
                let template = json!({"spec": {"training": {"template": ends_well("train")}}});
                patch(
                    living,
                    "srecjob",
                    "nightly",
                    &json!({"schedule": ticks.schedule(2), "jobTemplate": template}),
                );
                living.wait("the other job", &["recommenderjobs"], |jobs| {
                    let names = jobs["items"].as_array().unwrap().iter().map(|job| &job["metadata"]["name"]);
                    names.eq([&json!(ticks.job(2))])
                });
                // Nothing may be left of the one that was replaced.
                let replaced = ticks.job(4);
                living.wait(
                    "its objects to be gone",
                    &["jobs,pods,configmaps,services,networkpolicies"],
                    |objects| {
                        let mut names =
                            objects["items"].as_array().unwrap().iter().map(|object| &object["metadata"]["name"]);
                        !names.any(|name| name.as_str().unwrap().starts_with(&replaced))
                    },
                );
                succeed(living, &ticks.job(2));
                living.wait("what is published", &["srecjob", "nightly"], |schedule| {
                    schedule["status"]["lastPublishedRun"].is_string() && schedule["status"]["active"].is_null()
                });
            }
        }
    }
}

/// A schedule whose ticks are minutes that have gone by, as if the operator had been away meanwhile.
struct Ticks(jiff::Timestamp);

impl Ticks {
    /// Applies a schedule that ticked four minutes ago, and every hour.
    fn start(living: &Living<'_>, job: &Value) -> Self {
        let ticks = Ticks(jiff::Timestamp::now());
        let schedule = json!({
            "apiVersion": "teasel.dev/v1alpha1", "kind": "ScheduledRecommenderJob", "metadata": {"name": "nightly"},
            "spec": {
                "schedule": ticks.schedule(4), "concurrencyPolicy": "Replace", "suspend": true,
                "successfulJobsHistoryLimit": 5, "jobTemplate": {"spec": job["spec"]},
            },
        });
        apply(living, &schedule);
        let last = json!({"status": {"lastScheduleTime": ticks.ago(30).to_string()}}).to_string();
        let arguments = ["patch", "srecjob", "nightly", "--subresource=status", "--type=merge", "--patch", &last];
        living.namespace.kubectl(&arguments).unwrap();
        patch(living, "srecjob", "nightly", &json!({"suspend": false}));
        ticks
    }

    fn ago(&self, minutes: i64) -> jiff::Timestamp {
        self.0 - jiff::SignedDuration::from_mins(minutes)
    }

    /// The schedule whose last tick was so many minutes ago.
    fn schedule(&self, minutes: i64) -> String {
        format!("{} * * * *", self.ago(minutes).as_second().div_euclid(60).rem_euclid(60))
    }

    /// Name of that tick's job.
    fn job(&self, minutes: i64) -> String {
        format!("nightly-{}", self.ago(minutes).as_second().div_euclid(60))
    }
}

fn apply(living: &Living<'_>, object: &Value) {
    living.namespace.apply(&object.to_string()).unwrap();
}

fn patch(living: &Living<'_>, kind: &str, name: &str, spec: &Value) {
    living.namespace.patch(kind, name, &json!({"spec": spec})).unwrap();
}

fn succeed(living: &mut Living<'_>, name: &str) {
    living.wait("success", &["recjob", name], |job| job["status"]["phase"] == "Succeeded");
}

/// A pod template whose pods fail at once.
fn fails(task: &str) -> Value {
    let mut template = ends(task, "Bug");
    let annotations = &mut template["metadata"]["annotations"];
    let message = annotations["teasel.test/message"].as_str().unwrap().replace("\"Done\"", "\"Bug\"");
    annotations["teasel.test/message"] = json!(message);
    annotations["teasel.test/exit"] = json!("70");
    template
}

/// A pod template whose pods end well at once, for this reason.
fn ends(task: &str, reason: &str) -> Value {
    let mut template = ends_well(task);
    let annotations = &mut template["metadata"]["annotations"];
    let message = annotations["teasel.test/message"].as_str().unwrap().replace("Succeeded", reason);
    annotations["teasel.test/message"] = json!(message);
    template
}
