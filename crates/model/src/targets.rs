//! What the decoder is to explain: a batch's items, sorted by the decoder's blocks of items.

use tch::Tensor;

use crate::batch::BatchInput;
use crate::error::Result;
use crate::place::Place;

/// The entries of a batch, block of items by block of items.
#[derive(Debug)]
pub(crate) struct Targets {
    starts: Vec<i64>,
    positions: Tensor,
    weights: Tensor,
    /// Sum of each user's weights, `[users, 1]`.
    pub(crate) totals: Tensor,
}

impl Targets {
    /// Sorts a batch's entries by blocks of `block` items.
    pub(crate) fn new(batch: &BatchInput<'_>, catalogue: usize, block: usize, place: Place) -> Result<Self> {
        let blocks = catalogue.div_ceil(block);
        let mut starts = vec![0_i64; blocks + 1];
        for &item in batch.items {
            starts[item as usize / block + 1] += 1;
        }
        for index in 0..blocks {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut positions = vec![0_i64; batch.items.len()];
        let mut weights = vec![0.0_f32; batch.items.len()];
        let mut totals = vec![0.0_f64; batch.users()];
        for (user, total) in totals.iter_mut().enumerate() {
            for entry in batch.row(user) {
                let item = batch.items[entry] as usize;
                let index = item / block;
                let width = block.min(catalogue - index * block);
                let place = next[index] as usize;
                next[index] += 1;
                positions[place] = (user * width + item % block) as i64;
                weights[place] = batch.weight(entry);
                *total += f64::from(batch.weight(entry));
            }
        }
        Ok(Self {
            starts,
            positions: place.indices(&positions)?,
            weights: place.numbers(&weights)?,
            totals: place.numbers(&totals)?.f_unsqueeze(1)?,
        })
    }

    /// Flat positions in a block's `[users, items of the block]`, and the weights there.
    pub(crate) fn block(&self, index: usize) -> Result<(Tensor, Tensor)> {
        let (start, length) = (self.starts[index], self.starts[index + 1] - self.starts[index]);
        Ok((self.positions.f_narrow(0, start, length)?, self.weights.f_narrow(0, start, length)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn entries_lie_at_their_user_and_item_in_each_block() {
        let batch = BatchInput { offsets: &[0, 3, 5], items: &[0, 4, 6, 3, 5], weights: None, user_keys: &[1, 2] };
        let targets = Targets::new(&batch, 7, 3, Place::cpu(Kind::Float)).unwrap();
        let positions = |index| Vec::<i64>::try_from(targets.block(index).unwrap().0).unwrap();
        assert_eq!(positions(0), [0]);
        assert_eq!(positions(1), [1, 3, 5]);
        assert_eq!(positions(2), [0], "the last block has one item, so its rows are one wide");
        assert_eq!(Vec::<f32>::try_from(targets.totals.view(-1)).unwrap(), [3.0, 2.0]);
    }
}
