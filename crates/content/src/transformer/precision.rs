//! How many bits a transformer's matrices have.

use tch::{Device, Kind, Tensor};

use crate::error::{ContentError, Result};

/// What a number of the matrices of a transformer's blocks, and of its vocabulary, is held as. All else is 32-bit floats
/// always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// A 32-bit float.
    Float32,
    /// An 8-bit integer (of matrices that are multiplied with, 7 of the bits), for a quarter of the memory. Rows have steps of
    /// their own, and so has each token that a matrix is multiplied with, by its own largest number (dynamic quantisation:
    /// Yao et al. 2022, "ZeroQuant"). Products are summed as integers.
    Int8,
}

/// A matrix as it is held, `[to, from]`.
#[derive(Debug)]
pub(super) enum Held {
    Float32(Tensor),
    Int8(Quantised),
}

impl Held {
    /// One to be multiplied with.
    pub(super) fn matrix(numbers: Tensor, precision: Precision) -> Result<Self> {
        Self::new(numbers, precision, LARGEST_OF_A_MATRIX)
    }

    /// One whose rows are looked up.
    pub(super) fn table(numbers: Tensor, precision: Precision) -> Result<Self> {
        Self::new(numbers, precision, LARGEST)
    }

    fn new(numbers: Tensor, precision: Precision, largest: f64) -> Result<Self> {
        Ok(match precision {
            Precision::Float32 => Self::Float32(numbers),
            Precision::Int8 => Self::Int8(Quantised::new(&numbers, largest)?),
        })
    }

    /// `x W^T + b`, of `[.., from]`.
    pub(super) fn linear(&self, input: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match self {
            Self::Float32(matrix) => Ok(input.f_linear(matrix, bias)?),
            Self::Int8(matrix) => matrix.linear(input, bias),
        }
    }

    /// Rows, `[.., from]`, by their numbers.
    pub(super) fn rows(&self, numbers: &Tensor) -> Result<Tensor> {
        match self {
            Self::Float32(matrix) => Ok(Tensor::f_embedding(matrix, numbers, -1, false, false)?),
            Self::Int8(matrix) => matrix.rows(numbers),
        }
    }

    /// Some rows, one after the other.
    pub(super) fn part(&self, first: i64, rows: i64) -> Result<Self> {
        let part = |tensor: &Tensor| tensor.f_narrow(0, first, rows)?.f_contiguous();
        Ok(match self {
            Self::Float32(matrix) => Self::Float32(part(matrix)?),
            Self::Int8(matrix) => {
                Self::Int8(Quantised { codes: part(&matrix.codes)?, steps: part(&matrix.steps)? })
            }
        })
    }

    pub(super) fn shape(&self) -> Result<(i64, i64)> {
        match self {
            Self::Float32(matrix) | Self::Int8(Quantised { codes: matrix, .. }) => Ok(matrix.size2()?),
        }
    }

    /// What an optimizer can change: nothing leads back through integers.
    pub(super) fn trainable(&self) -> Option<&Tensor> {
        match self {
            Self::Float32(matrix) => Some(matrix),
            Self::Int8(_) => None,
        }
    }
}

/// Rows of numbers as multiples of a step of each row's own.
#[derive(Debug)]
pub(super) struct Quantised {
    /// `[rows, columns]`, 8-bit integers.
    codes: Tensor,
    /// `[rows, 1]`
    steps: Tensor,
}

/// Largest multiple.
const LARGEST: f64 = 127.0;
/// Largest multiple of a matrix. Processors without VNNI add two products in 16 bits, which are too few for larger ones: sums
/// would be wrong there (as of oneDNN's kernels for x86), and what is read should not depend on the machine.
const LARGEST_OF_A_MATRIX: f64 = 63.0;
/// Smallest step: a row of zeros has one too.
const SMALLEST_STEP: f64 = 1e-30;
/// Fewer rows aren't multiplied on GPUs, and no matrices whose sides aren't multiples of this.
const FEWEST_ROWS: i64 = 17;
const MULTIPLE: i64 = 8;

/// Refuses matrices of such sides, if `device` doesn't multiply them as integers.
pub(super) fn check(sides: [i64; 4], device: Device) -> Result<()> {
    match sides.iter().find(|&side| side % MULTIPLE != 0) {
        Some(side) if device.is_cuda() => Err(ContentError::Configuration(format!(
            "`precision: Int8` on a GPU needs matrices whose sides are multiples of {MULTIPLE}, one here is {side}"
        ))),
        _ => Ok(()),
    }
}

impl Quantised {
    /// A row's largest number decides its step (symmetric quantisation).
    fn new(rows: &Tensor, largest: f64) -> Result<Self> {
        let steps = rows.f_abs()?.f_amax(1_i64, true)?.f_mul_scalar_(1.0 / largest)?.f_clamp_min_(SMALLEST_STEP)?;
        Ok(Self { codes: rows.f_div(&steps)?.f_round_()?.f_to_kind(Kind::Int8)?, steps })
    }

    fn linear(&self, input: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (to, from) = self.codes.size2()?;
        let input_rows = Self::new(&input.f_reshape([-1, from])?, LARGEST)?;
        let count = input_rows.steps.size()[0];
        let codes = match FEWEST_ROWS - count {
            missing @ 1.. if input.device().is_cuda() => input_rows.codes.f_constant_pad_nd([0, 0, 0, missing])?,
            _ => input_rows.codes,
        };
        let sums = codes.f_internal_int_mm(&self.codes.f_transpose(0, 1)?)?.f_narrow(0, 0, count)?;
        let scaled = sums.f_to_kind(Kind::Float)?.f_mul_(&input_rows.steps)?;
        let steps = self.steps.f_view([1, to])?;
        let output = match bias {
            Some(bias) => bias.f_addcmul(&scaled, &steps)?,
            None => scaled.f_mul(&steps)?,
        };
        let mut shape = input.size();
        if let Some(last) = shape.last_mut() {
            *last = to;
        }
        Ok(output.f_view(&shape[..])?)
    }

    fn rows(&self, numbers: &Tensor) -> Result<Tensor> {
        let columns = self.codes.size2()?.1;
        let flat = numbers.f_flatten(0, -1)?;
        let mut codes = self.codes.f_index_select(0, &flat)?.f_to_kind(Kind::Float)?;
        let rows = codes.f_mul_(&self.steps.f_index_select(0, &flat)?)?;
        Ok(rows.f_view(&[&numbers.size()[..], &[columns]].concat()[..])?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::super::tuning::Fresh;
    use super::*;

    fn random(seed: u64, shape: &[i64]) -> Tensor {
        let (last, others) = shape.split_last().unwrap();
        Fresh::new(seed, Device::Cpu).uniform(others.iter().product(), *last).unwrap().view(shape)
    }

    /// Of the length of `expected`.
    fn error(found: &Tensor, expected: &Tensor) -> f64 {
        ((found - expected).norm() / expected.norm()).double_value(&[])
    }

    #[test]
    fn sides_that_gpus_do_not_multiply_as_integers_are_refused() {
        let refused = check([384, 384, 12, 1536], Device::Cuda(0)).unwrap_err().to_string();
        assert!(refused.contains("one here is 12"), "{refused}");
        check([384, 384, 12, 1536], Device::Cpu).unwrap();
        check([384, 384, 96, 1536], Device::Cuda(0)).unwrap();
    }

    #[rstest]
    #[case::one_token(&[1, 1, 64])]
    #[case::many(&[4, 30, 64])]
    fn products_of_eight_bits_are_near(#[case] shape: &[i64], #[values(true, false)] has_bias: bool) {
        // Rows of very different sizes: a step for all would leave nothing of the small ones.
        let sizes = Tensor::logspace(-3, 2, 24, 10.0, (Kind::Float, Device::Cpu));
        let matrix = random(1, &[24, 64]) * sizes.view([24, 1]);
        let bias = has_bias.then(|| random(2, &[24]) * &sizes);
        let input = random(3, shape);
        let linear = |precision| {
            let held = Held::matrix(matrix.shallow_clone(), precision).unwrap();
            held.linear(&input, bias.as_ref()).unwrap() / &sizes
        };
        let (found, expected) = (linear(Precision::Int8), linear(Precision::Float32));
        assert_eq!(found.size(), expected.size());
        let error = error(&found, &expected);
        assert!(error < 0.02, "{error}");
    }

    #[test]
    fn rows_and_parts_are_those_of_the_whole() {
        let matrix = random(4, &[8, 16]);
        let _ = matrix.get(3).zero_();
        let table = Held::table(matrix.shallow_clone(), Precision::Int8).unwrap();
        let numbers = Tensor::from_slice(&[6_i64, 3, 3, 0]).view([2, 2]);
        let rows = table.rows(&numbers).unwrap();
        let expected = matrix.index_select(0, &numbers.flatten(0, -1)).view([2, 2, 16]);
        assert!(error(&rows, &expected) < 0.01);
        let held = Held::matrix(matrix, Precision::Int8).unwrap();
        let (input, part) = (random(5, &[20, 16]), held.part(2, 4).unwrap());
        assert_eq!(part.shape().unwrap(), (4, 16));
        let whole = held.linear(&input, None).unwrap();
        assert_eq!(part.linear(&input, None).unwrap(), whole.narrow(-1, 2, 4));
    }

    #[test]
    fn the_largest_products_are_summed_exactly() {
        let ones = |rows| Tensor::ones([rows, 384], (Kind::Float, Device::Cpu));
        for sign in [1.0, -1.0] {
            let held = Held::matrix(ones(32) * sign, Precision::Int8).unwrap();
            let found = held.linear(&ones(20), None).unwrap();
            assert!((found - 384.0 * sign).abs().max().double_value(&[]) < 1e-3);
        }
    }

    #[test]
    fn processors_without_instructions_for_it_sum_exactly_as_well() {
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "transformer::precision::tests::the_largest_products_are_summed_exactly"])
            .env("ONEDNN_MAX_CPU_ISA", "AVX2")
            .output()
            .unwrap();
        assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).contains("1 passed"), "{again:?}");
    }
}
