//! The encoder: a user's items, as each facet sees them, to that facet's latent mean and variance.
//!
//! Input is sparse from end to end: nothing of size users x items exists. For facet `k` with shares `c_k` it computes
//! `W2 tanh(W1 (x c_k) / |x c_k| + b1) + b2`.

use tch::{Kind, Tensor};

use crate::batch::BatchInput;
use crate::config::Config;
use crate::error::Result;
use crate::noise::Noise;
use crate::parameters::{Parameters, Role};

/// Largest product of facet shares and first layer that is formed for all items: 20,000 items, 7 facets, 100
/// dimensions. Beyond, only the rows of items that occur in the batch are touched.
const LARGEST_TABLE: usize = 14_000_000;
/// Smallest squared length of a facet's input that is scaled to length 1. Below, nothing of a user is in the facet.
const SMALLEST_SQUARE: f64 = 1e-12;
/// `mode` of libtorch's embedding bags that adds.
const SUM: i64 = 0;

/// How the facets' inputs are multiplied with the first layer; the result is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// One bag over `c_ik W1_i` of all items.
    Table,
    /// One weighted bag per facet over the rows of the batch's items.
    PerFacet,
}

impl Strategy {
    pub(crate) fn for_shape(config: &Config) -> Self {
        let table = config.items.saturating_mul(config.facets).saturating_mul(config.dimensions);
        if table <= LARGEST_TABLE { Self::Table } else { Self::PerFacet }
    }
}

/// Users' items as the encoder sees them, as tensors.
#[derive(Debug)]
pub(crate) struct History {
    users: i64,
    offsets: Tensor,
    items: Vec<i64>,
    weights: Tensor,
}

impl History {
    /// All of a batch's items.
    pub(crate) fn complete(batch: &BatchInput<'_>, kind: Kind) -> Result<Self> {
        Self::filtered(batch, kind, |_, _| true)
    }

    /// The items that dropout leaves at a step.
    pub(crate) fn after_dropout(
        batch: &BatchInput<'_>,
        kind: Kind,
        noise: &Noise,
        dropout: f64,
        step: u64,
    ) -> Result<Self> {
        Self::filtered(batch, kind, |user, item| noise.keeps(dropout, step, batch.user_keys[user], item))
    }

    fn filtered(batch: &BatchInput<'_>, kind: Kind, keeps: impl Fn(usize, i64) -> bool) -> Result<Self> {
        let mut offsets = Vec::with_capacity(batch.users() + 1);
        let mut items = Vec::with_capacity(batch.items.len());
        let mut weights = Vec::with_capacity(batch.items.len());
        offsets.push(0);
        for user in 0..batch.users() {
            for entry in batch.row(user) {
                if keeps(user, batch.items[entry]) {
                    items.push(batch.items[entry]);
                    weights.push(batch.weight(entry));
                }
            }
            offsets.push(items.len() as i64);
        }
        Ok(Self {
            users: batch.users() as i64,
            offsets: Tensor::f_from_slice(&offsets)?,
            items,
            weights: Tensor::f_from_slice(&weights)?.f_to_kind(kind)?,
        })
    }

    /// Adds up rows of `table` per user, weighted by `weights`: `[users, columns]`.
    fn bag(&self, table: &Tensor, rows: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let bags = Tensor::f_embedding_bag(table, rows, &self.offsets, false, SUM, false, Some(weights), true)?;
        Ok(bags.0)
    }
}

/// What the encoder says of a batch, each `[users, facets, dimensions]`.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The mean, not yet brought to length 1.
    pub(crate) mean: Tensor,
    /// Logarithm of the variance, as a multiple of the prior's.
    pub(crate) log_variance: Tensor,
}

/// The part of the encoder that doesn't depend on the users.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    parameters: &'a Parameters,
    /// Facet shares, `[items, facets]`.
    shares: Tensor,
    /// `c_ik W1_i`, `[items, facets * dimensions]`, with [`Strategy::Table`].
    table: Option<Tensor>,
}

impl<'a> Encoder<'a> {
    /// `log_routing` is `[facets, items]`.
    pub(crate) fn new(parameters: &'a Parameters, log_routing: &Tensor, strategy: Strategy) -> Result<Self> {
        let shares = log_routing.f_exp()?.f_transpose(0, 1)?.f_contiguous()?;
        let table = match strategy {
            Strategy::PerFacet => None,
            Strategy::Table => {
                let product = shares.f_unsqueeze(2)?.f_mul(&parameters.get(Role::Input)?.f_unsqueeze(1)?)?;
                Some(product.f_flatten(1, 2)?)
            }
        };
        Ok(Self { parameters, shares, table })
    }

    /// Encodes users.
    pub(crate) fn encode(&self, history: &History) -> Result<Encoded> {
        let facets = self.shares.size()[1];
        let squares = history.weights.f_square()?;
        let (projected, square) = match &self.table {
            Some(table) => {
                let rows = Tensor::f_from_slice(&history.items)?;
                let projected = history.bag(table, &rows, &history.weights)?;
                let square = history.bag(&self.shares.f_square()?, &rows, &squares)?;
                (projected.f_view_([history.users, facets, -1])?, square)
            }
            None => {
                let (touched, rows) = compress(&history.items);
                let (touched, rows) = (Tensor::f_from_slice(&touched)?, Tensor::f_from_slice(&rows)?);
                let first = self.parameters.get(Role::Input)?.f_index_select(0, &touched)?;
                let shares = self.shares.f_index_select(0, &touched)?;
                let weighted =
                    shares.f_index_select(0, &rows)?.f_mul(&history.weights.f_unsqueeze(1)?)?.f_transpose(0, 1)?;
                let projected = (0..facets)
                    .map(|facet| history.bag(&first, &rows, &weighted.f_select(0, facet)?.f_contiguous()?))
                    .collect::<Result<Vec<_>>>()?;
                (Tensor::f_stack(&projected, 1)?, history.bag(&shares.f_square()?, &rows, &squares)?)
            }
        };
        let scale = square.f_clamp_min(SMALLEST_SQUARE)?.f_rsqrt()?.f_unsqueeze(2)?;
        let hidden = projected.f_mul(&scale)?.f_add(self.parameters.get(Role::InputBias)?)?.f_tanh()?;
        let output =
            hidden.f_linear(self.parameters.get(Role::Output)?, Some(self.parameters.get(Role::OutputBias)?))?;
        let dimensions = output.size()[2] / 2;
        Ok(Encoded {
            mean: output.f_narrow(2, 0, dimensions)?,
            log_variance: output.f_narrow(2, dimensions, dimensions)?.f_neg()?,
        })
    }
}

/// The distinct items in ascending order, and each entry's place among them.
fn compress(items: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let mut touched = items.to_vec();
    touched.sort_unstable();
    touched.dedup();
    let rows = items.iter().map(|item| touched.partition_point(|other| other < item) as i64).collect();
    (touched, rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn compressed_rows_point_at_their_items() {
        let (touched, rows) = compress(&[9, 2, 9, 5]);
        assert_eq!((touched, rows), (vec![2, 5, 9], vec![2, 0, 2, 1]));
    }
}
