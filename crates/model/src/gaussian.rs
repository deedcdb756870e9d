//! The Gaussian decoder: `x_i ~ N(m_i, v_i)` for every item, with
//! `m_i = sum_k c_ik z_k . w_i + b_i` and `v_i = floor + exp(sum_k c_ik z_k . y_i + a_i)`.
//!
//! Facets enter as they do in the multinomial decoder: an item is explained by the interests that it belongs to, each by
//! its share. Summed over facets, that is one product of all of a user's latents with `c_ik w_i`, so a block of items
//! costs four products forward and backward each. Gradients are formed by hand; a single pass suffices, since items
//! share no normaliser.

use std::f64::consts::TAU;

use tch::{Kind, Tensor};

use crate::dense::{self, Workspace};
use crate::error::Result;
use crate::place::Place;
use crate::targets::Targets;

/// Bytes of one users x items buffer of a block; five are in use at once.
const BLOCK_BYTES: usize = 2 << 20;

/// Items of a block.
pub(crate) fn block_for_shape(users: usize, items: usize, kind: Kind) -> usize {
    (BLOCK_BYTES / (users.max(1) * kind.elt_size_in_bytes())).clamp(128, 4096).min(items)
}

/// Everything the decoder reads, detached from the graph.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    /// Latents, `[users, facets, dimensions]`.
    pub(crate) latents: &'a Tensor,
    /// Facet shares, `[items, facets]`.
    pub(crate) shares: &'a Tensor,
    pub(crate) mean: Layer<'a>,
    pub(crate) variance: Layer<'a>,
    pub(crate) variance_floor: f64,
}

/// One of the decoder's two linear layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    /// `[items, dimensions]`
    pub(crate) weight: &'a Tensor,
    /// `[items]`
    pub(crate) bias: &'a Tensor,
}

/// A sum over a batch's users and its gradients with respect to [`Decoder`]'s fields.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) negative_log_likelihood: f64,
    pub(crate) latents: Tensor,
    pub(crate) shares: Tensor,
    pub(crate) mean: LayerGradients,
    pub(crate) variance: LayerGradients,
}

/// Gradients of a [`Layer`].
#[derive(Debug)]
pub(crate) struct LayerGradients {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl LayerGradients {
    fn like(layer: Layer<'_>) -> Result<Self> {
        Ok(Self { weight: layer.weight.f_empty_like()?, bias: layer.bias.f_empty_like()? })
    }
}

impl Decoder<'_> {
    /// Negative log-likelihood of the targets, summed over users and items, and its gradients.
    pub(crate) fn gradients(
        &self,
        targets: &Targets,
        block: usize,
        workspace: &mut Workspace,
    ) -> Result<Gradients> {
        let _guard = tch::no_grad_guard();
        let place = Place::of(self.shares)?;
        let (users, items) = (self.latents.size()[0], self.shares.size()[0]);
        let flat = self.flat_latents()?;
        let mut negative_log_likelihood = 0.0;
        let mut latents = flat.f_zeros_like()?;
        let shares = self.shares.f_empty_like()?;
        let (mean, variance) = (LayerGradients::like(self.mean)?, LayerGradients::like(self.variance)?);
        for (index, (start, length)) in dense::blocks(items as usize, block).enumerate() {
            let shape = [users, length];
            let mean_rows = self.facet_rows(self.mean, start, length, MEAN_ROWS, workspace)?;
            let variance_rows = self.facet_rows(self.variance, start, length, VARIANCE_ROWS, workspace)?;
            let mut residual = workspace.buffer(MEAN, &shape, place)?;
            self.outputs_into(&mut residual, &flat, &mean_rows, self.mean, start)?;
            let mut spread = workspace.buffer(SPREAD, &shape, place)?;
            self.outputs_into(&mut spread, &flat, &variance_rows, self.variance, start)?;
            let _ = spread.f_exp_()?;

            // residual = m - x; precision = 1 / v; scaled = (m - x) / v, the gradient by the mean.
            let (positions, weights) = targets.block(index)?;
            let _ = residual.f_view_([-1])?.f_index_add_(0, &positions, &weights.f_neg()?)?;
            let mut precision = workspace.buffer(PRECISION, &shape, place)?;
            precision.f_copy_(&spread)?;
            let _ = precision.f_add_scalar_(self.variance_floor)?;
            let _ = precision.f_reciprocal_()?;
            let mut scaled = workspace.buffer(SCALED, &shape, place)?;
            scaled.f_copy_(&residual)?;
            let _ = scaled.f_mul_(&precision)?;

            let squares = residual.f_mul_(&scaled)?.f_sum(Kind::Double)?.f_double_value(&[])?;
            let mut surprise = workspace.buffer(SURPRISE, &shape, place)?;
            let _ = precision.f_log_out(&surprise)?;
            let logarithms = -surprise.f_sum(Kind::Double)?.f_double_value(&[])?;
            let constant = (users * length) as f64 * TAU.ln();
            negative_log_likelihood += 0.5 * (squares + logarithms + constant);

            // The gradient by the logarithm of what is above the floor: (1/v - (m - x)^2 / v^2) exp(..) / 2.
            surprise.f_copy_(&scaled)?;
            let _ = surprise.f_mul_(&scaled)?;
            let _ = precision.f_sub_(&surprise)?;
            let _ = spread.f_mul_(&precision)?;
            let _ = spread.f_mul_scalar_(0.5)?;

            let mut share_gradient = shares.f_narrow(0, start, length)?;
            let _ = share_gradient.f_zero_()?;
            for (layer, rows, outputs, gradients) in
                [(self.mean, &mean_rows, &scaled, &mean), (self.variance, &variance_rows, &spread, &variance)]
            {
                dense::add_product(&mut latents, outputs, rows)?;
                gradients.bias.f_narrow(0, start, length)?.f_copy_(&outputs.f_sum_dim_intlist(0, false, None)?)?;
                // `[length, facets, dimensions]`: by c_ik w_i, which both the shares and the weights see.
                let by_rows = workspace.buffer(ROW_GRADIENTS, &rows.size(), place)?;
                dense::product_into(&by_rows, &outputs.f_transpose(0, 1)?, &flat)?;
                let by_rows = by_rows.f_view_([length, self.facets(), -1])?;
                let share = self.shares.f_narrow(0, start, length)?.f_unsqueeze(2)?;
                let weight = layer.weight.f_narrow(0, start, length)?.f_unsqueeze(1)?;
                let by_weight = by_rows.f_mul(&share)?.f_sum_dim_intlist(1, false, None)?;
                gradients.weight.f_narrow(0, start, length)?.f_copy_(&by_weight)?;
                let _ = share_gradient.f_add_(&by_rows.f_mul(&weight)?.f_sum_dim_intlist(2, false, None)?)?;
            }
        }
        let latents = latents.f_view_(&self.latents.size()[..])?;
        Ok(Gradients { negative_log_likelihood, latents, shares, mean, variance })
    }

    fn facets(&self) -> i64 {
        self.shares.size()[1]
    }

    /// `[users, facets * dimensions]`
    pub(crate) fn flat_latents(&self) -> Result<Tensor> {
        Ok(self.latents.f_flatten(1, 2)?)
    }

    /// The means of a block of items, `[users, length]`.
    pub(crate) fn means(
        &self,
        flat: &Tensor,
        start: i64,
        length: i64,
        workspace: &mut Workspace,
    ) -> Result<Tensor> {
        let mut means = workspace.buffer(MEAN, &[flat.size()[0], length], Place::of(self.shares)?)?;
        let rows = self.facet_rows(self.mean, start, length, MEAN_ROWS, workspace)?;
        self.outputs_into(&mut means, flat, &rows, self.mean, start)?;
        Ok(means)
    }

    /// `c_ik w_i` of a block of items, `[length, facets * dimensions]`, in `slot`.
    fn facet_rows(
        &self,
        layer: Layer<'_>,
        start: i64,
        length: i64,
        slot: usize,
        workspace: &mut Workspace,
    ) -> Result<Tensor> {
        let shares = self.shares.f_narrow(0, start, length)?.f_unsqueeze(2)?;
        let weight = layer.weight.f_narrow(0, start, length)?.f_unsqueeze(1)?;
        let rows = workspace.buffer(slot, &[length, self.facets(), weight.size()[2]], Place::of(self.shares)?)?;
        let _ = shares.f_mul_out(&rows, &weight)?;
        Ok(rows.f_flatten(1, 2)?)
    }

    fn outputs_into(
        &self,
        out: &mut Tensor,
        flat: &Tensor,
        rows: &Tensor,
        layer: Layer<'_>,
        start: i64,
    ) -> Result<()> {
        dense::product_into(out, flat, &rows.f_transpose(0, 1)?)?;
        let _ = out.f_add_(&layer.bias.f_narrow(0, start, rows.size()[0])?)?;
        Ok(())
    }
}

/// Slots of the work space.
const MEAN: usize = 0;
const SPREAD: usize = 1;
const PRECISION: usize = 2;
const SCALED: usize = 3;
const SURPRISE: usize = 4;
const MEAN_ROWS: usize = 5;
const VARIANCE_ROWS: usize = 6;
const ROW_GRADIENTS: usize = 7;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;
    use tch::Device;

    use super::*;
    use crate::batch::BatchInput;

    const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);
    const FLOOR: f64 = 0.05;

    fn layer(shares: &Tensor, latents: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
        let per_facet = latents.matmul(&weight.transpose(0, 1));
        (per_facet * shares.transpose(0, 1).unsqueeze(0)).sum_dim_intlist(1, false, None) + bias
    }

    #[rstest]
    #[case(7)]
    #[case(3)]
    #[case(1)]
    fn likelihood_and_gradients_equal_the_dense_formula(#[case] block: usize) {
        tch::manual_seed(5);
        let leaf = |tensor: Tensor| tensor.detach().set_requires_grad(true);
        let latents = leaf(Tensor::randn([3, 2, 4], OPTIONS));
        let shares = leaf(Tensor::randn([7, 2], OPTIONS).softmax(1, None));
        let [mean, variance] = [0, 1].map(|_| leaf(Tensor::randn([7, 4], OPTIONS)));
        let [mean_bias, variance_bias] = [0, 1].map(|_| leaf(Tensor::randn([7], OPTIONS)));
        let batch = BatchInput {
            offsets: &[0, 2, 2, 3],
            items: &[0, 6, 4],
            weights: Some(&[1.0, 2.0, 0.5]),
            user_keys: &[1, 2, 3],
        };
        let seen = Tensor::zeros([3, 7], OPTIONS);
        for (user, item, weight) in [(0, 0, 1.0), (0, 6, 2.0), (2, 4, 0.5)] {
            let _ = seen.narrow(0, user, 1).narrow(1, item, 1).fill_(weight);
        }
        let spread = layer(&shares, &latents, &variance, &variance_bias).exp() + FLOOR;
        let error = layer(&shares, &latents, &mean, &mean_bias) - seen;
        let expected = ((&error * &error / &spread + (spread * TAU).log()) * 0.5).sum(None);
        expected.backward();

        let decoder = Decoder {
            latents: &latents.detach(),
            shares: &shares.detach(),
            mean: Layer { weight: &mean.detach(), bias: &mean_bias.detach() },
            variance: Layer { weight: &variance.detach(), bias: &variance_bias.detach() },
            variance_floor: FLOOR,
        };
        let targets = Targets::new(&batch, 7, block, Place::cpu(Kind::Double)).unwrap();
        let actual = decoder.gradients(&targets, block, &mut Workspace::default()).unwrap();
        assert!((actual.negative_log_likelihood - expected.double_value(&[])).abs() < 1e-9);
        for (gradient, leaf) in [
            (&actual.latents, &latents),
            (&actual.shares, &shares),
            (&actual.mean.weight, &mean),
            (&actual.mean.bias, &mean_bias),
            (&actual.variance.weight, &variance),
            (&actual.variance.bias, &variance_bias),
        ] {
            assert!(gradient.allclose(&leaf.grad(), 1e-10, 1e-12, false));
        }
    }
}
