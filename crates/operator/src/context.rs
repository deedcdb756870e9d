//! What every reconcile needs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::core::Status;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};

use crate::configuration::Configuration;
use crate::job::decide::Note;
use crate::job::restarts::cut;
use crate::metrics::Metrics;

/// The longest time that an object which may still change is left alone: should an event be lost, this finds out.
pub const LOOK_ANYWAY: Duration = Duration::from_secs(60);
/// The longest that one reconcile may take: requests have no end of their own, since watches are requests too.
pub const LONGEST_RECONCILE: Duration = Duration::from_secs(60);
/// Longest note of an event, in bytes: the API server takes no longer one.
const NOTE_BYTES: usize = 1024;
/// Pause after a first failure of an object's reconcile; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long reconciles have to fail before people are told: an API server that restarts is away for less.
const WORTH_TELLING: Duration = Duration::from_secs(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What every reconcile needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// For asking workers.
    pub http: reqwest::Client,
    /// What the operator was told.
    pub configuration: Configuration,
    /// Publishes events.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Metrics,
    /// Failures in a row, by object.
    pub failures: Failures,
    /// When workers were last asked how far they are.
    pub asked: Asked,
}

impl Context {
    /// Counts a reconcile of `object`, and its failures in a row. `failed_by_conflict` says how it failed, if it did.
    pub fn reconciled(&self, kind: &str, object: &str, elapsed: Duration, failed_by_conflict: Option<bool>) {
        let result = match failed_by_conflict {
            None => "ok",
            Some(true) => "conflict",
            Some(false) => "error",
        };
        self.metrics.reconciled(kind, result, elapsed);
        if failed_by_conflict.is_none() {
            self.failures.clear(object);
        }
    }

    /// When to look again at an object whose reconcile failed. A conflict is worth no word: somebody else wrote the
    /// object first.
    pub fn look_again(&self, object: &str, error: &dyn std::error::Error, is_conflict: bool) -> Action {
        let pause = self.failures.add(object, Some(error).filter(|_| !is_conflict));
        if !is_conflict {
            tracing::warn!(object, "{error}; looking again in {pause:?}");
        }
        Action::requeue(pause)
    }

    /// Publishes events. They are for people: what can't be told is logged, and nothing waits for it.
    pub async fn tell(&self, object: &ObjectReference, notes: &[Note]) {
        let (name, namespace) = (object.name.as_deref(), object.namespace.as_deref());
        for note in notes {
            tracing::info!(
                object = name.unwrap_or_default(),
                namespace = namespace.unwrap_or_default(),
                reason = note.reason,
                "{}",
                note.message
            );
            let event = Event {
                type_: if note.warning { EventType::Warning } else { EventType::Normal },
                reason: note.reason.clone(),
                note: Some(cut(&note.message, NOTE_BYTES)),
                action: "Reconcile".into(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, object).await {
                tracing::warn!("no event published: {error}");
            }
        }
    }
}

/// When each job's worker was last asked how far it is. Every answer changes the status, and every change of the
/// status wakes a reconcile: without this they would chase each other.
#[derive(Debug, Default)]
pub struct Asked(Mutex<HashMap<String, Instant>>);

impl Asked {
    /// Whether to ask the worker of the job with this UID now, no more often than every `interval`.
    pub fn is_due(&self, uid: &str, interval: Duration) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Jobs come and go.
        asked.retain(|_, at| now.duration_since(*at) < Duration::from_secs(3600));
        let due = asked.get(uid).is_none_or(|at| now.duration_since(*at) >= interval);
        if due {
            asked.insert(uid.to_owned(), now);
        }
        due
    }
}

/// Whether the API server refused a write since the object has been written since it was read.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether the API server has judged an object, and doesn't take it as it is: a schema, a quota, a webhook.
pub fn is_refusal(status: &Status) -> bool {
    matches!(status.code, 400 | 403 | 422)
}

/// Failures in a row, by object. One object that can't be reconciled doesn't slow others down.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, InARow>>);

#[derive(Debug)]
struct InARow {
    count: u32,
    since: Instant,
    /// What people are told: the first one after they had gone on for [`WORTH_TELLING`]. Not the newest: telling it changes
    /// the object, which wakes whoever looks, and would do so again with every other word.
    told: Option<String>,
}

impl Failures {
    /// Counts a failure and returns how long to wait.
    pub fn add(&self, object: &str, error: Option<&dyn std::error::Error>) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || InARow { count: 0, since: Instant::now(), told: None };
        let failures = failures.entry(object.to_owned()).or_insert_with(fresh);
        failures.count += 1;
        if let Some(error) = error.filter(|_| failures.since.elapsed() >= WORTH_TELLING) {
            failures.told.get_or_insert_with(|| error.to_string());
        }
        FIRST_PAUSE.saturating_mul(1 << (failures.count - 1).min(10)).min(LONGEST_PAUSE)
    }

    /// Why an object's reconciles fail, where they have failed for a while.
    pub fn told(&self, object: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(object)?.told.clone()
    }

    /// Forgets an object's failures.
    pub fn clear(&self, object: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_fails_is_looked_at_less_and_less_until_it_succeeds() {
        let failures = Failures::default();
        let pauses: Vec<_> = (0..9).map(|_| failures.add("a", None).as_secs_f64()).collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(failures.add("b", None), FIRST_PAUSE);
        failures.clear("a");
        assert_eq!(failures.add("a", None), FIRST_PAUSE);
    }

    #[test]
    fn people_are_told_of_failures_that_go_on_and_in_one_wording() {
        let failures = Failures::default();
        let add = |said: &str| failures.add("a", Some(&std::io::Error::other(said)));
        add("first");
        assert_eq!(failures.told("a"), None);
        failures.0.lock().unwrap().get_mut("a").unwrap().since -= WORTH_TELLING;
        failures.add("a", None);
        assert_eq!(failures.told("a"), None);
        add("second");
        add("third");
        assert_eq!(failures.told("a").as_deref(), Some("second"));
        failures.clear("a");
        assert_eq!(failures.told("a"), None);
    }
}
