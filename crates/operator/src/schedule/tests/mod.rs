//! Tests of decisions. Times are those of 1 March 2026 in UTC.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conditions;
mod fuzz;
mod history;
mod policies;
mod publish;
mod requests;
mod ticks;
mod world;

use jiff::Timestamp;
use kube::core::PartialObjectMetaExt;
use serde_json::{Value, json};
use teasel_api::spec::{ScheduledRecommenderJob, ScheduledRecommenderJobStatus};

use super::{Action, ChildJob, Decision, Finished, Observed, build, decide};
use crate::reading::ListedJob;

/// A time of day on 1 March 2026, or a whole time.
fn at(text: &str) -> Timestamp {
    let whole = if text.contains('T') { text.to_owned() } else { format!("2026-03-01T{text}Z") };
    whole.parse().unwrap()
}

/// The schedule `films`, created at 00:00, with some fields of its spec.
fn schedule(fields: &Value) -> ScheduledRecommenderJob {
    let mut spec = json!({
        "schedule": "0 * * * *",
        "jobTemplate": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
            "spec": {
                "storage": {"uri": "s3://teasel/films"},
                "data": {"interactions": {"location": {"uri": "s3://x"}, "columns": {"user": "u", "item": "i"}}},
                "scoring": {"tenants": [{"name": "city", "output": {"uri": "s3://city/lists"}}]}
            }
        }
    });
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "teasel.dev/v1alpha1",
        "kind": "ScheduledRecommenderJob",
        "metadata": {
            "name": "films", "namespace": "media", "uid": "parent", "generation": 4,
            "creationTimestamp": "2026-03-01T00:00:00Z"
        },
        "spec": spec
    }))
    .unwrap()
}

fn observed(fields: &Value, last: Option<&str>, now: &str) -> Observed {
    let mut schedule = schedule(fields);
    schedule.status =
        Some(ScheduledRecommenderJobStatus { last_schedule_time: last.map(at), ..Default::default() });
    Observed { schedule, jobs: Vec::new(), allowed_secrets: Vec::new(), now: at(now) }
}

impl Observed {
    fn with(mut self, job: ChildJob) -> Self {
        self.jobs.push(job);
        self
    }

    fn asked(mut self, text: &str) -> Self {
        let annotations = self.schedule.metadata.annotations.get_or_insert_default();
        annotations.insert("teasel.dev/retrain-at".into(), text.into());
        self
    }

    fn status(&mut self) -> &mut ScheduledRecommenderJobStatus {
        self.schedule.status.get_or_insert_default()
    }

    /// Decides, and goes on with the status that was decided.
    fn step(&mut self, now: &str) -> Decision {
        self.now = at(now);
        let decision = decide(self);
        self.schedule.status = Some(decision.status.clone());
        decision
    }
}

/// A job that runs.
fn running(tick: &str) -> ChildJob {
    let name = build::job_name("films", at(tick));
    ChildJob { uid: format!("uid-{tick}"), name, tick: at(tick), ..ChildJob::default() }
}

/// A job that has ended.
fn ended(tick: &str, succeeded: bool) -> ChildJob {
    let time = at(tick) + jiff::SignedDuration::from_mins(10);
    ChildJob { finished: Some(Finished { succeeded, time }), ..running(tick) }
}

fn deleting(job: ChildJob) -> ChildJob {
    ChildJob { deleting: true, ..job }
}

/// Ticks that are created.
fn created(decision: &Decision) -> Vec<Timestamp> {
    let ticks = decision.actions.iter().filter_map(|action| match action {
        Action::Create { name, tick } => {
            assert_eq!(*name, build::job_name("films", *tick));
            Some(*tick)
        }
        Action::Delete { .. } | Action::Ask { .. } => None,
    });
    ticks.collect()
}

/// UIDs that are deleted.
fn deleted(decision: &Decision) -> Vec<&str> {
    let uids = decision.actions.iter().filter_map(|action| match action {
        Action::Delete { uid, .. } => Some(uid.as_str()),
        Action::Create { .. } | Action::Ask { .. } => None,
    });
    uids.collect()
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.notes.iter().map(|note| note.reason.as_str()).collect()
}

#[test]
fn a_child_carries_the_template_its_tick_and_its_owner() {
    let schedule = schedule(&json!({}));
    let job = build::job(&schedule, at("03:00:00"));
    insta::assert_json_snapshot!(job.metadata, @r#"
    {
      "annotations": {
        "note": "b",
        "teasel.dev/scheduled-at": "2026-03-01T03:00:00Z"
      },
      "labels": {
        "team": "a",
        "teasel.dev/schedule": "films"
      },
      "name": "films-29538900",
      "namespace": "media",
      "ownerReferences": [
        {
          "apiVersion": "teasel.dev/v1alpha1",
          "blockOwnerDeletion": true,
          "controller": true,
          "kind": "ScheduledRecommenderJob",
          "name": "films",
          "uid": "parent"
        }
      ]
    }
    "#);
    assert_eq!(job.spec, schedule.spec.job_template.spec);
    let mut job = job;
    job.metadata.uid = Some("u".into());
    let read = ChildJob::from(&ListedJob { object: job.metadata.into_response_partial(), status: job.status });
    assert_eq!((read.name.as_str(), read.tick, read.finished), ("films-29538900", at("03:00:00"), None));
}

#[test]
fn the_longest_name_of_a_schedule_leaves_room_for_the_minute() {
    let name = build::job_name(&"x".repeat(31), Timestamp::from_second(99_999_999 * 60).unwrap());
    assert_eq!(name.len(), teasel_api::MAXIMUM_JOB_NAME);
}
