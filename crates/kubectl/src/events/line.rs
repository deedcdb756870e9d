//! Which events belong to a job or schedule, and how one is shown.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use teasel_api::request::children_base;

use crate::reference::Kind;
use crate::target::Target;

/// The objects whose events are shown.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    uid: String,
    kind: Kind,
    /// What the names of its children begin with. Their events outlive them: nothing else tells whose they were.
    children: String,
}

impl Scope {
    /// A job with its Jobs and pods, or a schedule with its jobs.
    pub(super) fn of(target: &Target) -> Self {
        Self::new(target.kind, &target.name(), &target.uid())
    }

    fn new(kind: Kind, name: &str, uid: &str) -> Self {
        let children = match kind {
            Kind::Job => format!("{}-", children_base(name, uid)),
            Kind::Schedule => format!("{name}-"),
        };
        Scope { uid: uid.to_owned(), kind, children }
    }

    /// Whether an event is about one of the objects.
    pub(super) fn holds(&self, event: &Event) -> bool {
        let about = &event.involved_object;
        if about.uid.as_deref() == Some(&self.uid) {
            return true;
        }
        let rest = about.name.as_deref().and_then(|name| name.strip_prefix(&self.children));
        match (self.kind, about.kind.as_deref(), rest) {
            (Kind::Job, Some("Job" | "Pod"), Some(_)) => true,
            // Another job may have a name that begins the same.
            (Kind::Schedule, Some("RecommenderJob"), Some(rest)) => rest.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        }
    }
}

/// When it last happened.
pub(super) fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let exact = series.or(event.event_time.as_ref()).map(|time| time.0);
    let coarse = [&event.last_timestamp, &event.first_timestamp, &event.metadata.creation_timestamp];
    let coarse = coarse.into_iter().flatten().map(|time| time.0).next();
    // Both are there where an event was counted up by another client than had made it.
    exact.max(coarse)
}

/// How often it happened.
pub(super) fn count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    series.or(event.count).unwrap_or(1).max(1)
}

/// An event as a line.
pub(super) fn line(event: &Event) -> String {
    let time = time(event).map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let about = &event.involved_object;
    let object = format!("{}/{}", about.kind.as_deref().unwrap_or("?"), about.name.as_deref().unwrap_or("?"));
    let times = match count(event) {
        1 => String::new(),
        count => format!(" (x{count})"),
    };
    format!(
        "{time:<20}  {:<7}  {:<22}  {object}{times}  {}",
        event.type_.as_deref().unwrap_or("Normal"),
        event.reason.as_deref().unwrap_or("-"),
        event.message.as_deref().unwrap_or_default().trim().replace('\n', " ")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const UID: &str = "0b5a7c1e-9d3f-4b8e-a1c2-5e6f7a8b9c0d";

    fn event(kind: &str, name: &str, uid: &str, fields: Value) -> Event {
        let mut event = json!({
            "metadata": {"name": "e", "creationTimestamp": "2030-01-01T12:00:00Z"},
            "involvedObject": {"kind": kind, "name": name, "uid": uid},
            "type": "Warning", "reason": "FailedCreate", "message": "pods are\nforbidden\n",
        });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[rstest]
    #[case::itself(Kind::Job, "RecommenderJob", "films", UID, true)]
    #[case::a_namesake_from_before(Kind::Job, "RecommenderJob", "films", "another", false)]
    #[case::its_job(Kind::Job, "Job", "films-0b5a7c1e-train-1", "u", true)]
    #[case::its_pod(Kind::Job, "Pod", "films-0b5a7c1e-train-1-0-x7k2p", "u", true)]
    #[case::a_namesakes_pod(Kind::Job, "Pod", "films-11111111-train-1-0-x7k2p", "u", false)]
    #[case::anothers_job(Kind::Job, "Job", "films-more-22222222-train-1", "u", false)]
    #[case::the_schedule(Kind::Schedule, "ScheduledRecommenderJob", "films", UID, true)]
    #[case::a_job_of_the_schedule(Kind::Schedule, "RecommenderJob", "films-29000000", "u", true)]
    #[case::another_job(Kind::Schedule, "RecommenderJob", "films-old", "u", false)]
    #[case::a_pod_of_the_same_name(Kind::Schedule, "Pod", "films-29000000", "u", false)]
    fn an_event_belongs_to_what_it_is_about(
        #[case] of: Kind,
        #[case] kind: &str,
        #[case] name: &str,
        #[case] uid: &str,
        #[case] belongs: bool,
    ) {
        let scope = Scope::new(of, "films", UID);
        assert_eq!(scope.holds(&event(kind, name, uid, json!({}))), belongs);
    }

    #[rstest]
    #[case::only_made(json!({}), "2030-01-01T12:00:00Z", 1)]
    #[case::counted(json!({"count": 4, "lastTimestamp": "2030-01-01T13:00:00Z"}), "2030-01-01T13:00:00Z", 4)]
    #[case::a_single_one(json!({"eventTime": "2030-01-01T12:30:00.000000Z"}), "2030-01-01T12:30:00Z", 1)]
    #[case::a_series(
        json!({"eventTime": "2030-01-01T12:30:00.000000Z",
               "series": {"count": 7, "lastObservedTime": "2030-01-01T14:00:00.000000Z"}}),
        "2030-01-01T14:00:00Z",
        7
    )]
    fn an_events_time_is_its_last_one(#[case] fields: Value, #[case] at: &str, #[case] times: i32) {
        let event = event("Job", "films", "u", fields);
        assert_eq!((time(&event), count(&event)), (Some(at.parse().unwrap()), times));
    }

    #[test]
    fn an_event_is_one_line() {
        let event = event("Job", "films-0b5a7c1e-train-1", "u", json!({"count": 3}));
        assert_eq!(
            line(&event),
            "2030-01-01T12:00:00Z  Warning  FailedCreate            Job/films-0b5a7c1e-train-1 (x3)  pods are forbidden"
        );
    }
}
