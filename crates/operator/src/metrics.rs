//! What the operator counts. Names of objects are no labels: they would make a series of each.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use teasel_api::spec::{AttemptOutcome, RecommenderJob};

use crate::job::decide::Decision;

/// Labels of a job's change of phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: String,
    reason: String,
}

/// Labels of an attempt's end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    task: String,
    outcome: String,
    reason: String,
}

/// Labels of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: String,
    result: String,
}

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    phases: Family<PhaseLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    reconciles: Family<ReconcileLabels, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("teasel_operator");
        let (phases, attempts, reconciles) = (Family::default(), Family::default(), Family::default());
        let seconds = Histogram::new(exponential_buckets(0.005, 2.0, 12));
        registry.register(
            "phase_changes",
            "Changes of jobs' phases, by the new one and its reason",
            phases.clone(),
        );
        registry.register("attempts_ended", "Attempts that ended, by task, outcome and reason", attempts.clone());
        registry.register("reconciles", "Reconciles, by kind of object and result", reconciles.clone());
        registry.register_with_unit("reconcile", "Time of a reconcile", Unit::Seconds, seconds.clone());
        Metrics { registry, phases, attempts, reconciles, seconds }
    }
}

impl Metrics {
    /// Counts what a decision changed of a job.
    pub fn observe(&self, job: &RecommenderJob, decision: &Decision) {
        let before = job.status.clone().unwrap_or_default();
        let after = &decision.status;
        if let Some(phase) = after.phase.filter(|phase| before.phase != Some(*phase)) {
            let reason = after.reason.clone().unwrap_or_default();
            self.phases.get_or_create(&PhaseLabels { phase: format!("{phase:?}"), reason }).inc();
        }
        for attempt in &after.attempts {
            let known = |other: &&teasel_api::spec::AttemptStatus| {
                other.task == attempt.task && other.tenant == attempt.tenant && other.number == attempt.number
            };
            let ended_before = before.attempts.iter().find(known).is_some_and(|other| other.outcome.is_some());
            if let Some(outcome) = attempt.outcome.filter(|_| !ended_before) {
                self.attempts
                    .get_or_create(&AttemptLabels {
                        task: attempt.task.as_str().into(),
                        outcome: format!("{outcome:?}"),
                        // A worker's own reasons are a closed vocabulary, too; success needs none.
                        reason: match outcome {
                            AttemptOutcome::Succeeded => String::new(),
                            _ => attempt.reason.clone().unwrap_or_default(),
                        },
                    })
                    .inc();
            }
        }
    }

    /// Counts a reconcile.
    pub fn reconciled(&self, kind: &str, result: &str, elapsed: std::time::Duration) {
        self.reconciles.get_or_create(&ReconcileLabels { kind: kind.into(), result: result.into() }).inc();
        self.seconds.observe(elapsed.as_secs_f64());
    }

    /// All of them in OpenMetrics' text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
