//! Ridge regression, with the error that each row has by the others (leave-one-out, in closed form).

use tch::{Device, Kind, Tensor};

use crate::error::{ModelError, Result};

/// A ridge regression of centred columns, in double precision.
pub(crate) struct Ridge {
    /// `[inputs, outputs]`
    pub(crate) weights: Tensor,
    /// Of each row by the other rows, `[rows, outputs]`.
    pub(crate) residuals: Tensor,
    /// The sum of their squares.
    error: f64,
}

impl Ridge {
    /// The one among `penalties` whose error is smallest.
    pub(crate) fn best(inputs: &Tensor, outputs: &Tensor, penalties: &[f64]) -> Result<Self> {
        let fitted = penalties.iter().map(|penalty| Self::fit(inputs, outputs, *penalty));
        let fitted = fitted.collect::<Result<Vec<_>>>()?;
        let best = fitted.into_iter().min_by(|left, right| left.error.total_cmp(&right.error));
        best.ok_or_else(|| ModelError::Input("no penalties to try".into()))
    }

    fn fit(inputs: &Tensor, outputs: &Tensor, penalty: f64) -> Result<Self> {
        let transposed = inputs.f_transpose(0, 1)?;
        let rank = inputs.size()[1];
        let ridge = Tensor::f_eye(rank, (Kind::Double, Device::Cpu))?.f_mul_scalar(penalty)?;
        let inverse = Tensor::f_linalg_inv(&transposed.f_mm(inputs)?.f_add(&ridge)?)?;
        let weights = inverse.f_mm(&transposed.f_mm(outputs)?)?;
        let leverage = inputs.f_mm(&inverse)?.f_mul(inputs)?.f_sum_dim_intlist(1, true, Kind::Double)?;
        let left = leverage.f_neg()?.f_add_scalar(1.0)?.f_clamp_min(1e-6)?;
        let residuals = outputs.f_sub(&inputs.f_mm(&weights)?)?.f_div(&left)?;
        let error = residuals.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        Ok(Self { weights, residuals, error })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::noise;

    fn numbers(seed: u64, rows: i64, columns: i64) -> Tensor {
        let drawn = noise::initial(seed, 0, (rows * columns) as usize).unwrap();
        drawn.view([rows, columns]).to_kind(Kind::Double)
    }

    #[test]
    fn residuals_are_those_of_regressions_without_the_row() {
        let (inputs, outputs) = (numbers(1, 12, 3), numbers(2, 12, 2));
        let ridge = Ridge::fit(&inputs, &outputs, 0.7).unwrap();
        for row in 0..12 {
            let others = Tensor::from_slice(&(0..12).filter(|other| *other != row).collect::<Vec<i64>>());
            let of = |tensor: &Tensor| tensor.index_select(0, &others);
            let apart = Ridge::fit(&of(&inputs), &of(&outputs), 0.7).unwrap();
            let expected = outputs.narrow(0, row, 1) - inputs.narrow(0, row, 1).mm(&apart.weights);
            let difference = (ridge.residuals.narrow(0, row, 1) - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-9, "{difference}");
        }
    }

    #[test]
    fn noise_wants_a_large_penalty_and_a_rule_a_small_one() {
        let inputs = numbers(1, 40, 3);
        let penalties = [0.001, 1000.0];
        let length = |ridge: &Ridge| ridge.weights.abs().max().double_value(&[]);
        assert!(length(&Ridge::best(&inputs, &inputs, &penalties).unwrap()) > 0.9);
        assert!(length(&Ridge::best(&inputs, &numbers(3, 40, 2), &penalties).unwrap()) < 0.05);
    }
}
