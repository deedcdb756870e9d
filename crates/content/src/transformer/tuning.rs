//! What is trained of a pretrained transformer: what it is called, and what is added for it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// What is trained of a pretrained transformer.
#[derive(Clone, Debug, PartialEq)]
pub enum Tuning {
    /// Nothing.
    Frozen,
    /// Everything.
    Full,
    /// Updates of low rank to some matrices (Hu et al. 2021): `W + alpha / rank * B A`, where `B` begins as 0.
    LowRank {
        /// Rows of `A`.
        rank: i64,
        /// Weight of the update, before it is divided by the rank.
        alpha: f64,
        /// Which matrices of each block.
        targets: Vec<Matrix>,
    },
    /// A bottleneck after the attention and after the feed-forward layer of each block, added to what it reads, which it
    /// begins by leaving as it is (Houlsby et al. 2019).
    Adapters {
        /// Width of the bottleneck.
        width: i64,
    },
}

/// A matrix of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Matrix {
    Query,
    Key,
    Value,
    Output,
    Up,
    Gate,
    Down,
}

impl Matrix {
    pub(super) fn name(self) -> &'static str {
        match self {
            Matrix::Query => "query",
            Matrix::Key => "key",
            Matrix::Value => "value",
            Matrix::Output => "output",
            Matrix::Up => "up",
            Matrix::Gate => "gate",
            Matrix::Down => "down",
        }
    }
}

/// Fresh values.
pub(super) struct Fresh {
    random: ChaCha8Rng,
    device: Device,
}

impl Fresh {
    pub(super) fn new(seed: u64, device: Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device }
    }

    /// A matrix `[to, from]`, uniform within the inverse root of `from` (He et al. 2015, for a leak of root 5).
    pub(super) fn uniform(&mut self, to: i64, from: i64) -> Result<Tensor> {
        let bound = 1.0 / (from as f32).sqrt();
        let values: Vec<f32> = (0..to * from).map(|_| self.random.random_range(-bound..bound)).collect();
        Ok(Tensor::f_from_slice(&values)?.f_view_([to, from])?.f_to_device(self.device)?)
    }

    pub(super) fn zeros(&self, shape: &[i64]) -> Result<Tensor> {
        Ok(Tensor::f_zeros(shape, (Kind::Float, self.device))?)
    }
}

/// `scale * B A`.
#[derive(Debug)]
pub(super) struct LowRank {
    /// `A`, `[rank, from]`.
    down: Tensor,
    /// `B`, `[to, rank]`.
    up: Tensor,
    scale: f64,
}

impl LowRank {
    pub(super) fn new([to, from]: [i64; 2], rank: i64, alpha: f64, fresh: &mut Fresh) -> Result<Self> {
        Ok(Self { down: fresh.uniform(rank, from)?, up: fresh.zeros(&[to, rank])?, scale: alpha / rank as f64 })
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let none: Option<Tensor> = None;
        Ok(input
            .f_linear(&self.down, none.as_ref())?
            .f_linear(&self.up, none.as_ref())?
            .f_mul_scalar(self.scale)?)
    }

    pub(super) fn tensors(&self) -> [(&'static str, &Tensor); 2] {
        [("down", &self.down), ("up", &self.up)]
    }
}

/// `x + up(gelu(down(x)))`.
#[derive(Debug)]
pub(super) struct Adapter {
    down: (Tensor, Tensor),
    up: (Tensor, Tensor),
}

impl Adapter {
    pub(super) fn new(width: i64, bottleneck: i64, fresh: &mut Fresh) -> Result<Self> {
        Ok(Self {
            down: (fresh.uniform(bottleneck, width)?, fresh.zeros(&[bottleneck])?),
            up: (fresh.zeros(&[width, bottleneck])?, fresh.zeros(&[width])?),
        })
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let inner = input.f_linear(&self.down.0, Some(&self.down.1))?.f_gelu("none")?;
        Ok(inner.f_linear(&self.up.0, Some(&self.up.1))?.f_add(input)?)
    }

    pub(super) fn tensors(&self) -> [(&'static str, &Tensor); 4] {
        [
            ("down.weight", &self.down.0),
            ("down.bias", &self.down.1),
            ("up.weight", &self.up.0),
            ("up.bias", &self.up.1),
        ]
    }
}
