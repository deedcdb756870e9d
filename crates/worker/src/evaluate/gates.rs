//! Whether a model may be published.

use serde::{Deserialize, Serialize};
use teasel_api::resolved::{Bound, Gate};
use teasel_model::RatioInterval;

/// What a gate's metric came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measured {
    /// The new model's mean, for an absolute bound.
    Absolute(f64),
    /// Both models' means and the ratio's interval on the same users.
    Relative {
        /// The run compared with.
        run: String,
        /// The new model's mean.
        new: f64,
        /// The other model's mean.
        old: f64,
        /// Paired bootstrap interval (95 %) of the ratio.
        interval: RatioInterval,
        /// On how many of the test users, where not on all: those that both runs test.
        users: Option<usize>,
    },
    /// There is no model to compare with.
    NoPublishedModel,
}

/// A gate's decision, as the run log and the report keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GateResult {
    /// The metric.
    pub(crate) metric: String,
    /// Whether the model may pass.
    pub(crate) passed: bool,
    /// CamelCase reason: `Met`, `NotMet` or `NoPublishedModel`.
    pub(crate) reason: String,
    /// Both numbers, in a sentence.
    pub(crate) message: String,
}

/// Decides a gate.
///
/// A relative gate fails only if the whole interval lies below the bound. To ask that its lower end passes would fail
/// most models that are equally good where test users are few.
pub(crate) fn decide(gate: &Gate, measured: &Measured) -> GateResult {
    let metric = &gate.metric;
    let (passed, reason, message) = match (measured, &gate.bound) {
        (Measured::NoPublishedModel, _) => {
            (true, "NoPublishedModel", format!("{metric}: nothing is published yet to compare with"))
        }
        (Measured::Absolute(value), Bound::Minimum { minimum }) => {
            let passed = value >= minimum;
            let relation = if passed { "reaches" } else { "is below" };
            (passed, met(passed), format!("{metric} {value:.4} {relation} the minimum {minimum:.4}"))
        }
        (
            Measured::Relative { run, new, old, interval, users },
            Bound::RelativeToPublished { ratio } | Bound::RelativeTo { ratio, .. },
        ) => {
            let passed = interval.high >= *ratio;
            let relation = if passed { "reaches" } else { "is below" };
            let apart = users.map(|users| format!(" on the {users} users that both test")).unwrap_or_default();
            let message = format!(
                "{metric} {new:.4} against {old:.4} of run {run}{apart}: ratio {:.3}, 95 % between {:.3} and {:.3}, {relation} the bound {ratio:.3}",
                interval.ratio, interval.low, interval.high
            );
            (passed, met(passed), message)
        }
        (measured, bound) => {
            (false, "NotMet", format!("{metric}: {measured:?} doesn't answer the bound {bound:?}"))
        }
    };
    GateResult { metric: metric.clone(), passed, reason: reason.into(), message }
}

fn met(passed: bool) -> &'static str {
    if passed { "Met" } else { "NotMet" }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn relative(low: f64, high: f64) -> Measured {
        let interval = RatioInterval { ratio: (low + high) / 2.0, low, high };
        Measured::Relative { run: "r-1".into(), new: 0.3, old: 0.31, interval, users: None }
    }

    #[rstest]
    #[case::reached(Bound::Minimum { minimum: 0.3 }, Measured::Absolute(0.3), true)]
    #[case::missed(Bound::Minimum { minimum: 0.3 }, Measured::Absolute(0.29), false)]
    #[case::no_number(Bound::Minimum { minimum: 0.3 }, Measured::Absolute(f64::NAN), false)]
    #[case::wholly_below(Bound::RelativeToPublished { ratio: 0.98 }, relative(0.9, 0.97), false)]
    #[case::perhaps_below(Bound::RelativeToPublished { ratio: 0.98 }, relative(0.9, 0.99), true)]
    #[case::above(Bound::RelativeTo { ratio: 0.98, run: "r-1".into() }, relative(1.0, 1.1), true)]
    #[case::nothing_published(Bound::RelativeToPublished { ratio: 0.98 }, Measured::NoPublishedModel, true)]
    fn a_gate_fails_only_on_evidence(#[case] bound: Bound, #[case] measured: Measured, #[case] passed: bool) {
        let result = decide(&Gate { metric: "ndcg@100".into(), bound }, &measured);
        assert_eq!(result.passed, passed, "{result:?}");
    }

    #[test]
    fn a_failed_gate_names_both_numbers() {
        let gate = Gate { metric: "ndcg@100".into(), bound: Bound::Minimum { minimum: 0.3 } };
        let result = decide(&gate, &Measured::Absolute(0.25));
        assert_eq!(result.message, "ndcg@100 0.2500 is below the minimum 0.3000");
    }
}
