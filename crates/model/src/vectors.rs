//! Items' vectors as scoring keeps them: as they were learnt, or each number in 8 bits.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Smallest step between two numbers of a row.
const SMALLEST_STEP: f64 = 1e-30;

/// Rows of vectors.
#[derive(Debug)]
pub(crate) enum Vectors {
    /// As they were learnt, `[items, dimensions]`.
    Exact(Tensor),
    /// Each row's numbers as multiples, -127 to 127, of a step of its own.
    Quantised {
        /// `[items, dimensions]`, 8-bit integers.
        codes: Tensor,
        /// `[items, 1]`
        steps: Tensor,
    },
}

impl Vectors {
    /// Each row's largest number decides its step (symmetric quantisation).
    pub(crate) fn quantised(rows: &Tensor) -> Result<Self> {
        let steps = rows.f_abs()?.f_amax(1_i64, true)?.f_mul_scalar(1.0 / 127.0)?.f_clamp_min(SMALLEST_STEP)?;
        Ok(Self::Quantised { codes: rows.f_div(&steps)?.f_round()?.f_to_kind(Kind::Int8)?, steps })
    }

    /// Rows from `start` on.
    pub(crate) fn block(&self, start: i64, length: i64) -> Result<Tensor> {
        match self {
            Self::Exact(rows) => Ok(rows.f_narrow(0, start, length)?),
            Self::Quantised { codes, steps } => {
                restored(&codes.f_narrow(0, start, length)?, &steps.f_narrow(0, start, length)?)
            }
        }
    }

    /// Some rows.
    pub(crate) fn rows(&self, index: &Tensor) -> Result<Tensor> {
        match self {
            Self::Exact(rows) => Ok(rows.f_index_select(0, index)?),
            Self::Quantised { codes, steps } => {
                restored(&codes.f_index_select(0, index)?, &steps.f_index_select(0, index)?)
            }
        }
    }
}

fn restored(codes: &Tensor, steps: &Tensor) -> Result<Tensor> {
    Ok(codes.f_to_kind(steps.f_kind()?)?.f_mul(steps)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::noise;

    #[test]
    fn eight_bits_are_near_and_rows_are_apart() {
        let rows = noise::initial(1, 0, 40).unwrap().view([8, 5])
            * Tensor::from_slice(&[1.0_f32, 1e-3]).repeat([4]).view([8, 1]);
        let _ = rows.get(3).zero_();
        let vectors = Vectors::quantised(&rows).unwrap();
        let error = (vectors.block(0, 8).unwrap() - &rows).abs().amax([1_i64].as_slice(), false);
        let bound = rows.abs().amax([1_i64].as_slice(), false) / 250.0;
        assert!(error.le_tensor(&(bound + 1e-12)).all().int64_value(&[]) == 1, "{error:?}");
        let index = Tensor::from_slice(&[6_i64, 2]);
        assert!(vectors.rows(&index).unwrap() == vectors.block(0, 8).unwrap().index_select(0, &index));
        assert!(vectors.block(2, 3).unwrap() == vectors.block(0, 8).unwrap().narrow(0, 2, 3));
    }
}
