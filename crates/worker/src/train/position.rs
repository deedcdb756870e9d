//! Where training stands: what a checkpoint's `state.json` holds beside the tensors.

use serde::{Deserialize, Serialize};
use teasel_api::progress::EpochRecord;
use teasel_api::resolved::Schedule;

use super::early_stopping::BestEpoch;

/// Sums over the users of a part of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sums {
    /// Negative log-likelihood.
    pub negative_log_likelihood: f64,
    /// Kullback-Leibler divergence, unweighted.
    pub divergence: f64,
    /// Users.
    pub users: f64,
}

impl Sums {
    /// Adds another part.
    pub(super) fn add(&mut self, other: Sums) {
        self.negative_log_likelihood += other.negative_log_likelihood;
        self.divergence += other.divergence;
        self.users += other.users;
    }

    /// Mean loss per user with the divergence at `weight`.
    pub(super) fn mean_loss(&self, weight: f64) -> f64 {
        (self.negative_log_likelihood + weight * self.divergence) / self.users.max(1.0)
    }
}

/// Where training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Position {
    /// Epochs that are done, validation included.
    pub epoch: u32,
    /// Steps that are done in the epoch that runs.
    pub step: u64,
    /// Steps that are done in all.
    pub global_step: u64,
    /// Whether early stopping has ended training.
    pub stopped_early: bool,
    /// The best epoch so far.
    pub best: BestEpoch,
    /// Sums of the epoch that runs.
    pub sums: Sums,
    /// The epochs that are done.
    pub history: Vec<EpochRecord>,
}

impl Position {
    /// Counts a step.
    pub(super) fn advance(&mut self, sums: Sums) {
        self.step += 1;
        self.global_step += 1;
        self.sums.add(sums);
    }

    /// Closes the epoch that runs.
    ///
    /// `end` is what was found out at its end: epoch and losses are known here.
    pub(super) fn close_epoch(&mut self, end: EpochRecord) {
        let users = self.sums.users.max(1.0);
        self.epoch += 1;
        self.step = 0;
        self.history.push(EpochRecord {
            epoch: self.epoch,
            negative_log_likelihood: self.sums.negative_log_likelihood / users,
            divergence: self.sums.divergence / users,
            ..end
        });
        self.sums = Sums::default();
    }

    /// Mean loss per user of the epoch that runs, else of the one before, with the divergence at `weight`.
    pub(super) fn mean_loss(&self, weight: f64) -> Option<f64> {
        if self.sums.users > 0.0 {
            return Some(self.sums.mean_loss(weight));
        }
        self.history.last().map(|record| record.negative_log_likelihood + weight * record.divergence)
    }

    /// Whether nothing is left to train.
    pub(super) fn is_finished(&self, schedule: &Schedule) -> bool {
        self.stopped_early || self.epoch >= schedule.epochs
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_number_survives_json_bit_by_bit(value in proptest::num::f64::NORMAL) {
            let position = Position { best: BestEpoch { epoch: 1, value }, ..Position::default() };
            let json = serde_json::to_string(&position).unwrap();
            let back: Position = serde_json::from_str(&json).unwrap();
            proptest::prop_assert_eq!(back.best.value.to_bits(), value.to_bits());
        }
    }

    const SCHEDULE: Schedule = Schedule { epochs: 2, batch_size: 10, patience: 1 };

    #[test]
    fn a_position_counts_steps_over_epochs_and_survives_json() {
        let mut position = Position::default();
        let sums = Sums { negative_log_likelihood: 6.0, divergence: 2.0, users: 4.0 };
        for _ in 0..2 {
            assert!(!position.is_finished(&SCHEDULE));
            position.advance(sums);
            position.advance(sums);
            assert_eq!(position.mean_loss(0.5), Some(1.75));
            let validation = [("ndcg@100".into(), 0.1 + 0.2)].into();
            position.close_epoch(EpochRecord { validation, ..EpochRecord::default() });
        }
        assert!(position.is_finished(&SCHEDULE));
        assert_eq!(position.mean_loss(0.5), Some(1.75), "of the last epoch");
        assert_eq!(Position::default().mean_loss(0.5), None);
        assert_eq!((position.epoch, position.step, position.global_step), (2, 0, 4));
        assert_eq!(position.history[1].negative_log_likelihood, 1.5);
        let json = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
    }
}
