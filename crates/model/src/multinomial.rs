//! The multinomial decoder: `p(i) ~ sum_k c_ik exp(cos(z_k, t_i) / temperature)`, its likelihood and its gradients.
//!
//! It works on blocks of items and forms the gradients by hand, as Cut Cross-Entropy does (Wijmans et al. 2024), so that
//! users x items x facets never exists for a large catalogue. Two passes: the first adds up each user's normaliser, the
//! second the gradients. What the first computes is kept for the second where it is small, else computed again.
//!
//! Cosines are at most 1, so `exp((cos - 1) / temperature)` can't overflow, and no running maximum is needed.

use tch::{Kind, Tensor};

use crate::dense::{self, Workspace};
use crate::error::Result;
use crate::place::Place;
use crate::targets::Targets;

/// Bytes of one block of weighted scores: a block stays near the processor between the passes over it.
const BLOCK_BYTES: usize = 8 << 20;
/// Bytes of all blocks of a batch up to which the first pass keeps them for the second.
const KEPT_BYTES: usize = 256 << 20;

/// Sizes that decide how a batch is worked on; the result is the same up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Items of a block.
    pub(crate) block: usize,
    /// Whether the first pass keeps its blocks.
    pub(crate) keeps: bool,
}

impl Plan {
    pub(crate) fn for_shape(users: usize, facets: usize, items: usize, kind: Kind) -> Self {
        let column = users.max(1) * facets * kind.elt_size_in_bytes();
        let block = (BLOCK_BYTES / column).clamp(128, 4096).min(items);
        Self { block, keeps: column.saturating_mul(items) <= KEPT_BYTES }
    }
}

/// Everything the decoder reads, detached from the graph.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    /// Latent directions of length 1, `[facets, users, dimensions]`.
    pub(crate) latents: &'a Tensor,
    /// Item directions of length 1, `[items, dimensions]`.
    pub(crate) items: &'a Tensor,
    /// Logarithm of the facet shares, `[facets, items]`.
    pub(crate) log_routing: &'a Tensor,
    pub(crate) temperature: f64,
}

/// A sum over a batch's users and its gradients with respect to [`Decoder`]'s fields.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) negative_log_likelihood: f64,
    pub(crate) latents: Tensor,
    pub(crate) items: Tensor,
    pub(crate) log_routing: Tensor,
}

impl Decoder<'_> {
    /// Negative log-likelihood of the targets, summed over users, and its gradients.
    pub(crate) fn gradients(&self, targets: &Targets, plan: Plan, workspace: &mut Workspace) -> Result<Gradients> {
        let _guard = tch::no_grad_guard();
        let place = Place::of(self.items)?;
        let (items, users) = (self.items.size()[0], self.latents.size()[1]);
        let scaled = self.scaled_latents()?;
        let blocks = dense::blocks(items as usize, plan.block);
        let slot = |index: usize| if plan.keeps { FIRST_BLOCK + index } else { FIRST_BLOCK };

        let mut normaliser = place.zeros(&[users, 1])?;
        for (index, (start, length)) in blocks.clone().enumerate() {
            let weighted = self.weighted_scores(&scaled, start, length, slot(index), workspace)?;
            let probability = workspace.buffer(PROBABILITY, &[users, length], place)?;
            let _ = weighted.f_sum_intlist_out(&probability, 0, false, None)?;
            let _ = normaliser.f_add_(&probability.f_sum_dim_intlist(1, true, None)?)?;
        }

        let expected = targets.totals.f_div(&normaliser)?;
        let mut negative_log_likelihood = targets.totals.f_mul(&normaliser.f_log()?)?.f_sum(Kind::Double)?;
        let mut latent_gradient = scaled.f_zeros_like()?;
        let item_gradient = self.items.f_empty_like()?;
        let routing_gradient = self.log_routing.f_empty_like()?;
        for (index, (start, length)) in blocks.enumerate() {
            let mut weighted = if plan.keeps {
                let shape = [self.facets(), users, length];
                workspace.buffer(slot(index), &shape, place)?
            } else {
                self.weighted_scores(&scaled, start, length, slot(index), workspace)?
            };
            let probability = workspace.buffer(PROBABILITY, &[users, length], place)?;
            let _ = weighted.f_sum_intlist_out(&probability, 0, false, None)?;

            let (positions, weights) = targets.block(index)?;
            let chosen = probability.f_view_([-1])?.f_index_select(0, &positions)?;
            negative_log_likelihood =
                negative_log_likelihood.f_sub(&weights.f_mul(&chosen.f_log()?)?.f_sum(Kind::Double)?)?;

            // How much more of an item is expected than was seen, per unit of its unnormalised probability.
            let mut surplus = workspace.buffer(SURPLUS, &[users, length], place)?;
            surplus.f_copy_(&expected.f_expand([users, length], false)?)?;
            let _ = surplus.f_view_([-1])?.f_index_add_(0, &positions, &weights.f_div(&chosen)?.f_neg()?)?;

            let _ = weighted.f_mul_(&surplus)?;
            let mut rows = routing_gradient.f_narrow(1, start, length)?;
            rows.f_copy_(&weighted.f_sum_dim_intlist(1, false, None)?)?;
            let flat = weighted.f_view_([-1, length])?;
            dense::add_product(&mut latent_gradient, &flat, &self.items.f_narrow(0, start, length)?)?;
            dense::product_into(&item_gradient.f_narrow(0, start, length)?, &flat.f_transpose(0, 1)?, &scaled)?;
        }
        let _ = latent_gradient.f_mul_scalar_(1.0 / self.temperature)?;
        Ok(Gradients {
            negative_log_likelihood: negative_log_likelihood.f_double_value(&[])?,
            latents: latent_gradient.f_view_(&self.latents.size()[..])?,
            items: item_gradient,
            log_routing: routing_gradient,
        })
    }

    fn facets(&self) -> i64 {
        self.latents.size()[0]
    }

    /// `z / temperature`, facet by facet, `[facets * users, dimensions]`.
    pub(crate) fn scaled_latents(&self) -> Result<Tensor> {
        Ok(self.latents.f_mul_scalar(1.0 / self.temperature)?.f_flatten(0, 1)?)
    }

    /// `c_ik exp((cos(z_k, t_i) - 1) / temperature)` of a block of items, `[facets, users, length]`, in `slot`.
    pub(crate) fn weighted_scores(
        &self,
        scaled: &Tensor,
        start: i64,
        length: i64,
        slot: usize,
        workspace: &mut Workspace,
    ) -> Result<Tensor> {
        let flat = workspace.buffer(slot, &[scaled.size()[0], length], Place::of(self.items)?)?;
        dense::product_into(&flat, scaled, &self.items.f_narrow(0, start, length)?.f_transpose(0, 1)?)?;
        let mut weighted = flat.f_view_([self.facets(), -1, length])?;
        let shift = self.log_routing.f_narrow(1, start, length)?.f_add_scalar(-1.0 / self.temperature)?;
        let _ = weighted.f_add_(&shift.f_unsqueeze(1)?)?;
        let _ = weighted.f_exp_()?;
        Ok(weighted)
    }
}

/// Slots of the work space.
const PROBABILITY: usize = 0;
const SURPLUS: usize = 1;
const FIRST_BLOCK: usize = 2;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use tch::Device;

    use super::*;
    use crate::batch::BatchInput;
    use crate::routing::normalise;

    const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);

    /// The formula as it is written, over everything at once, differentiated by autograd.
    fn dense(latents: &Tensor, items: &Tensor, log_routing: &Tensor, temperature: f64, seen: &Tensor) -> Tensor {
        let cosines = latents.matmul(&items.transpose(0, 1)) / temperature;
        let logits = (cosines + log_routing.unsqueeze(1)).logsumexp(0, false);
        -(logits.log_softmax(-1, None) * seen).sum(None)
    }

    #[rstest]
    #[case(Plan { block: 9, keeps: true })]
    #[case(Plan { block: 4, keeps: true })]
    #[case(Plan { block: 4, keeps: false })]
    fn likelihood_and_gradients_equal_the_dense_formula(#[case] plan: Plan) {
        tch::manual_seed(5);
        let leaf = |tensor: Tensor| tensor.detach().set_requires_grad(true);
        let latents = leaf(normalise(&Tensor::randn([2, 3, 4], OPTIONS)).unwrap());
        let items = leaf(normalise(&Tensor::randn([9, 4], OPTIONS)).unwrap());
        let log_routing = leaf(Tensor::randn([2, 9], OPTIONS).log_softmax(0, None));
        let batch = BatchInput {
            offsets: &[0, 3, 3, 5],
            items: &[0, 4, 8, 1, 2],
            weights: Some(&[1.0, 2.0, 0.5, 1.0, 1.0]),
            user_keys: &[1, 2, 3],
        };
        let seen = Tensor::zeros([3, 9], OPTIONS);
        for (user, item, weight) in [(0, 0, 1.0), (0, 4, 2.0), (0, 8, 0.5), (2, 1, 1.0), (2, 2, 1.0)] {
            let _ = seen.narrow(0, user, 1).narrow(1, item, 1).fill_(weight);
        }
        let expected = dense(&latents, &items, &log_routing, 0.2, &seen);
        expected.backward();

        let decoder = Decoder {
            latents: &latents.detach(),
            items: &items.detach(),
            log_routing: &log_routing.detach(),
            temperature: 0.2,
        };
        let targets = Targets::new(&batch, 9, plan.block, Place::cpu(Kind::Double)).unwrap();
        let actual = decoder.gradients(&targets, plan, &mut Workspace::default()).unwrap();
        assert!((actual.negative_log_likelihood - expected.double_value(&[])).abs() < 1e-10);
        for (gradient, leaf) in
            [(&actual.latents, &latents), (&actual.items, &items), (&actual.log_routing, &log_routing)]
        {
            assert!(gradient.allclose(&leaf.grad(), 1e-10, 1e-12, false));
        }
    }

    #[test]
    fn a_small_batch_is_kept_and_a_large_catalogue_is_not() {
        let plan = |users, items| Plan::for_shape(users, 7, items, Kind::Float);
        assert!(plan(500, 3_700).keeps);
        assert!(!plan(500, 100_000).keeps);
        assert_eq!(plan(3, 50).block, 50);
    }
}
