//! What a model is compared with: popularity, and EASE.

use tch::{Device, Kind, Tensor};

use crate::batch::BatchInput;
use crate::error::{ModelError, Result};
use crate::place::read_numbers;
use crate::top_k::TopK;

/// Recommends what most people took.
#[derive(Debug)]
pub struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    /// From the number of users that each item has.
    pub fn of(counts: &[u64]) -> Self {
        Self { counts: counts.iter().map(|count| *count as f32).collect() }
    }

    /// Counts the users of each item.
    pub fn fit(items: usize, training: &BatchInput<'_>) -> Result<Self> {
        training.validate(items)?;
        let mut counts = vec![0.0; items];
        for &item in training.items {
            counts[item as usize] += 1.0;
        }
        Ok(Self { counts })
    }

    /// The `top_k` most popular items that each user doesn't have, best first.
    pub fn recommend(&self, batch: &BatchInput<'_>, top_k: usize) -> Result<Vec<Vec<u32>>> {
        batch.validate(self.counts.len())?;
        let list = |user| unseen(self.counts.clone(), batch.items_of(user), top_k);
        Ok((0..batch.users()).map(list).collect())
    }
}

/// EASE: the linear item-to-item model with a closed form (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data",
/// 2019). Items x items in memory, so for catalogues of thousands.
#[derive(Debug)]
pub struct Ease {
    /// `[items, items]`, with a diagonal of 0.
    weights: Tensor,
}

/// What EASE needs to know of the training users: how much each two items have in common.
#[derive(Debug)]
pub struct Gram {
    items: usize,
    /// `[items, items]`
    values: Vec<f64>,
}

impl Gram {
    /// Nobody yet.
    pub fn new(items: usize) -> Self {
        Self { items, values: vec![0.0; items * items] }
    }

    /// Adds training users.
    pub fn add(&mut self, training: &BatchInput<'_>) -> Result<()> {
        let items = self.items;
        training.validate(items)?;
        for user in 0..training.users() {
            for left in training.row(user) {
                let row = &mut self.values[training.items[left] as usize * items..][..items];
                for right in training.row(user) {
                    row[training.items[right] as usize] +=
                        f64::from(training.weight(left)) * f64::from(training.weight(right));
                }
            }
        }
        Ok(())
    }
}

impl Ease {
    /// Peak memory in bytes for so many items, beside training users and with the weights of another penalty: the items'
    /// products, their tensor, its factor, the inverse and a copy of that in 64 bits, and weights in 32.
    pub fn memory(items: usize) -> u64 {
        44 * (items as u64).pow(2)
    }

    /// Solves for the weights with L2 penalty `lambda`, which must be above 0.
    pub fn fit(items: usize, training: &BatchInput<'_>, lambda: f64) -> Result<Self> {
        let mut gram = Gram::new(items);
        gram.add(training)?;
        Self::solve(&gram, lambda)
    }

    /// The same, where other penalties are tried on the same users.
    pub fn solve(gram: &Gram, lambda: f64) -> Result<Self> {
        if !(lambda > 0.0 && lambda.is_finite()) {
            return Err(ModelError::Configuration("EASE's penalty must be above 0".into()));
        }
        let size = gram.items as i64;
        let gram = Tensor::f_from_slice(&gram.values)?.f_view_([size, size])?;
        let _ = gram.f_diagonal(0, 0, 1)?.f_add_scalar_(lambda)?;
        let inverse = gram.f_linalg_cholesky(false)?.f_cholesky_inverse(false)?;
        let mut weights = inverse.f_div(&inverse.f_diagonal(0, 0, 1)?)?.f_neg()?;
        let _ = weights.f_fill_diagonal_(0.0, false)?;
        Ok(Self { weights: weights.f_to_kind(Kind::Float)?.f_contiguous()? })
    }

    /// The best `top_k` items that each user doesn't have, best first.
    pub fn recommend(&self, batch: &BatchInput<'_>, top_k: usize) -> Result<Vec<Vec<u32>>> {
        let items = self.weights.size()[0] as usize;
        batch.validate(items)?;
        let recommend = |user| {
            let index = Tensor::f_from_slice(batch.items_of(user))?;
            let weights: Vec<f32> = batch.row(user).map(|entry| batch.weight(entry)).collect();
            let weights = Tensor::f_from_slice(&weights)?.f_to_device(Device::Cpu)?.f_unsqueeze(1)?;
            let scores =
                self.weights.f_index_select(0, &index)?.f_mul(&weights)?.f_sum_dim_intlist(0, false, None)?;
            Ok(unseen(read_numbers::<f32>(&scores)?, batch.items_of(user), top_k))
        };
        (0..batch.users()).map(recommend).collect()
    }
}

fn unseen(mut scores: Vec<f32>, seen: &[i64], top_k: usize) -> Vec<u32> {
    for &item in seen {
        scores[item as usize] = f32::NEG_INFINITY;
    }
    let mut top = TopK::new(top_k);
    top.extend(0, &scores);
    top.into_sorted().into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// Items 0 and 1 go together, 2 and 3 do; 2 is the most popular.
    const TRAINING: BatchInput<'static> = BatchInput {
        offsets: &[0, 2, 4, 6, 8, 10, 11],
        items: &[0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2],
        weights: None,
        user_keys: &[0, 1, 2, 3, 4, 5],
    };
    const HISTORY: BatchInput<'static> =
        BatchInput { offsets: &[0, 1], items: &[0], weights: None, user_keys: &[9] };

    #[test]
    fn popularity_ranks_by_count_and_leaves_out_what_is_seen() {
        let popularity = Popularity::fit(4, &TRAINING).unwrap();
        assert_eq!(popularity.recommend(&HISTORY, 10).unwrap(), [[2, 3, 1]]);
    }

    #[test]
    fn ease_recommends_what_goes_together() {
        let ease = Ease::fit(4, &TRAINING, 1.0).unwrap();
        assert_eq!(ease.recommend(&HISTORY, 1).unwrap(), [[1]]);
    }

    #[test]
    fn eases_weights_solve_its_normal_equations() {
        // For each column j: (G + lambda I) B_j = G_j - diagonal multiplier e_j, so off the diagonal
        // ((G + lambda I) B - G) is 0.
        let ease = Ease::fit(4, &TRAINING, 0.5).unwrap();
        let weights = Vec::<f32>::try_from(ease.weights.view(-1)).unwrap();
        let gram = [[2.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 4.0, 3.0], [0.0, 0.0, 3.0, 3.0]];
        for row in 0..4 {
            for column in 0..4 {
                let product: f32 = (0..4)
                    .map(|inner| {
                        let penalty = if inner == row { 0.5 } else { 0.0 };
                        (gram[row][inner] + penalty) * weights[inner * 4 + column]
                    })
                    .sum();
                if row == column {
                    assert_eq!(weights[row * 4 + column], 0.0);
                } else {
                    assert!((product - gram[row][column]).abs() < 1e-5, "{row} {column}");
                }
            }
        }
    }
}
