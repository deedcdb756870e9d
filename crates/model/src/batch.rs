//! A batch of users as compressed sparse rows.

use crate::error::{ModelError, Result};

/// Users and their items as compressed sparse rows, borrowed from the caller.
#[derive(Clone, Copy, Debug)]
pub struct BatchInput<'a> {
    /// Where each user's items start in `items`, and the end of the last: one more than there are users.
    pub offsets: &'a [i64],
    /// Item indices, below the catalogue's size, distinct within a user.
    pub items: &'a [i64],
    /// How strongly each item counts, above 0; unset means 1 for all.
    pub weights: Option<&'a [f32]>,
    /// One key per user. Dropout and latent noise depend on it, so a user must have the same key in whichever process
    /// it is computed.
    pub user_keys: &'a [u64],
}

impl<'a> BatchInput<'a> {
    /// How many users the batch has; it may have none.
    pub fn users(&self) -> usize {
        self.user_keys.len()
    }

    /// Refuses rows that don't fit together or a catalogue of this size.
    pub(crate) fn validate(&self, catalogue: usize) -> Result<()> {
        let refuse = |reason: String| Err(ModelError::Input(reason));
        if self.offsets.len() != self.users() + 1 {
            return refuse(format!("{} offsets for {} users", self.offsets.len(), self.users()));
        }
        if self.offsets.first() != Some(&0) || self.offsets.last() != Some(&(self.items.len() as i64)) {
            return refuse("the offsets must start at 0 and end at the number of items".into());
        }
        if let Some(row) = self.offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return refuse(format!("the offsets fall at user {row} of the batch"));
        }
        if let Some(entry) = self.items.iter().position(|&item| item < 0 || item >= catalogue as i64) {
            return refuse(format!("entry {entry} of the batch is no item of the catalogue of {catalogue}"));
        }
        if let Some(weights) = self.weights {
            if weights.len() != self.items.len() {
                return refuse(format!("{} weights for {} items", weights.len(), self.items.len()));
            }
            if let Some(entry) = weights.iter().position(|&weight| !(weight > 0.0 && weight.is_finite())) {
                return refuse(format!("the weight of entry {entry} of the batch is not above 0 and finite"));
            }
        }
        Ok(())
    }

    /// Where a user's entries lie in `items`. The batch must be valid.
    pub(crate) fn row(&self, user: usize) -> std::ops::Range<usize> {
        self.offsets[user] as usize..self.offsets[user + 1] as usize
    }

    /// A user's items. The batch must be valid.
    pub(crate) fn items_of(&self, user: usize) -> &'a [i64] {
        &self.items[self.row(user)]
    }

    /// The users `range`. Its offsets and entries stay those of the whole batch, which must be valid.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Self {
        BatchInput { offsets: &self.offsets[range.start..=range.end], user_keys: &self.user_keys[range], ..*self }
    }

    /// Where all entries of a slice lie in `items`.
    pub(crate) fn entries(&self) -> std::ops::Range<usize> {
        match (self.offsets.first(), self.offsets.last()) {
            (Some(first), Some(last)) => *first as usize..*last as usize,
            _ => 0..0,
        }
    }

    /// The weight of an entry.
    pub(crate) fn weight(&self, entry: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[entry])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::too_few_offsets(&[0, 1], &[1], None, "offsets for")]
    #[case::late_start(&[1, 1, 1], &[1], None, "start at 0")]
    #[case::short_end(&[0, 1, 1], &[1, 2], None, "start at 0")]
    #[case::falling(&[0, 2, 1], &[1], None, "fall at user 1")]
    #[case::outside(&[0, 1, 2], &[1, 9], None, "entry 1")]
    #[case::negative(&[0, 1, 2], &[1, -1], None, "entry 1")]
    #[case::few_weights(&[0, 1, 2], &[1, 2], Some(&[1.0][..]), "1 weights")]
    #[case::bad_weight(&[0, 1, 2], &[1, 2], Some(&[1.0, f32::NAN][..]), "weight of entry 1")]
    fn a_batch_that_does_not_fit_is_refused_with_its_position(
        #[case] offsets: &[i64],
        #[case] items: &[i64],
        #[case] weights: Option<&[f32]>,
        #[case] named: &str,
    ) {
        let batch = BatchInput { offsets, items, weights, user_keys: &[7, 8] };
        let message = batch.validate(5).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }

    #[test]
    fn a_batch_without_users_is_valid() {
        BatchInput { offsets: &[0], items: &[], weights: None, user_keys: &[] }.validate(5).unwrap();
    }
}
