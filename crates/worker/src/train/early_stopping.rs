//! Which epoch is the best, and when training has seen enough.

use serde::{Deserialize, Serialize};

/// The best validation metric so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BestEpoch {
    /// Epoch of the best value, counting from 1; 0 before the first.
    pub epoch: u32,
    /// The value.
    pub value: f64,
}

/// What an epoch's validation leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The best epoch, this one included.
    pub(super) best: BestEpoch,
    /// Whether this epoch is it.
    pub(super) improved: bool,
    /// Whether to stop now.
    pub(super) stop: bool,
}

/// Judges `epoch` (from 1) by its validation metric, of which more is better.
///
/// A value that isn't a number never counts as better: a run that diverges stops by patience and keeps its best.
pub(super) fn judge(best: BestEpoch, epoch: u32, value: f64, patience: u32) -> Verdict {
    let improved = value.is_finite() && (best.epoch == 0 || value > best.value);
    let best = if improved { BestEpoch { epoch, value } } else { best };
    Verdict { best, improved, stop: epoch.saturating_sub(best.epoch) >= patience.max(1) && !improved }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: &[f64], patience: u32) -> (BestEpoch, u32) {
        let mut best = BestEpoch::default();
        for (index, value) in values.iter().enumerate() {
            let epoch = index as u32 + 1;
            let verdict = judge(best, epoch, *value, patience);
            best = verdict.best;
            if verdict.stop {
                return (best, epoch);
            }
        }
        (best, values.len() as u32)
    }

    #[test]
    fn training_stops_after_patience_epochs_without_a_better_value() {
        assert_eq!(run(&[0.1, 0.3, 0.2, 0.3, 0.4], 2), (BestEpoch { epoch: 2, value: 0.3 }, 4));
        assert_eq!(run(&[0.1, 0.3, 0.2, 0.3, 0.4], 3), (BestEpoch { epoch: 5, value: 0.4 }, 5));
    }

    #[test]
    fn a_value_that_is_no_number_is_never_the_best() {
        assert_eq!(run(&[f64::NAN, 0.1, f64::NAN, f64::INFINITY], 5).0, BestEpoch { epoch: 2, value: 0.1 });
        assert_eq!(run(&[f64::NAN; 9], 3).1, 3);
    }
}
