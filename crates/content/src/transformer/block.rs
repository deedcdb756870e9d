//! A block: attention and a feed-forward layer, each added to its input.

use tch::Tensor;

use crate::architecture::{Activation, Architecture, FeedForward as Shape};
use crate::error::Result;

use super::attention::{Attention, Sight};
use super::layers::{Linear, Named, Norm, Source};
use super::tuning::{Adapter, Fresh, Matrix, Tuning};

#[derive(Debug)]
pub(super) struct Block {
    width: i64,
    attention: Attention,
    attention_norm: Norm,
    feed_forward: FeedForward,
    feed_forward_norm: Norm,
    norms_first: bool,
    /// After attention and after the feed-forward layer.
    adapters: Option<[Adapter; 2]>,
}

impl Block {
    pub(super) fn load(source: &Source<'_>, architecture: &Architecture, index: usize) -> Result<Self> {
        let (block, width) = (&architecture.block, architecture.width);
        let layer = block.layer.replace("{}", &index.to_string());
        Ok(Self {
            width,
            attention: Attention::load(source, &layer, &block.attention, width, block.transposed)?,
            attention_norm: source.norm(&format!("{layer}{}", block.attention_norm), width)?,
            feed_forward: FeedForward::load(source, &layer, &block.feed_forward, width, block.transposed)?,
            feed_forward_norm: source.norm(&format!("{layer}{}", block.feed_forward_norm), width)?,
            norms_first: block.norms_first,
            adapters: None,
        })
    }

    /// `[inputs, tokens, width]` to the same.
    pub(super) fn forward(&self, input: &Tensor, sight: &Sight) -> Result<Tensor> {
        if self.norms_first {
            let seen = self.attend(&self.attention_norm.forward(input)?, sight)?.f_add(input)?;
            return Ok(self.feed(&self.feed_forward_norm.forward(&seen)?)?.f_add(&seen)?);
        }
        let seen = self.attention_norm.forward(&self.attend(input, sight)?.f_add(input)?)?;
        self.feed_forward_norm.forward(&self.feed(&seen)?.f_add(&seen)?)
    }

    fn attend(&self, input: &Tensor, sight: &Sight) -> Result<Tensor> {
        let seen = self.attention.forward(input, sight)?;
        self.adapters.as_ref().map_or(Ok(seen.shallow_clone()), |[after, _]| after.forward(&seen))
    }

    fn feed(&self, input: &Tensor) -> Result<Tensor> {
        let fed = self.feed_forward.forward(input)?;
        self.adapters.as_ref().map_or(Ok(fed.shallow_clone()), |[_, after]| after.forward(&fed))
    }

    pub(super) fn has_gate(&self) -> bool {
        self.feed_forward.gate.is_some()
    }

    pub(super) fn tune(&mut self, tuning: &Tuning, fresh: &mut Fresh) -> Result<()> {
        let width = self.width;
        self.adapters = match tuning {
            Tuning::Adapters { width: bottleneck } => {
                Some([Adapter::new(width, *bottleneck, fresh)?, Adapter::new(width, *bottleneck, fresh)?])
            }
            _ => None,
        };
        let update = |matrix| match tuning {
            Tuning::LowRank { rank, alpha, targets } if targets.contains(&matrix) => Some((*rank, *alpha)),
            _ => None,
        };
        for (matrix, linear) in self.attention.matrices_mut().into_iter().chain(self.feed_forward.matrices_mut()) {
            linear.tune(update(matrix), fresh)?;
        }
        Ok(())
    }

    /// Those of the checkpoint.
    pub(super) fn tensors(&self, name: &str) -> Named {
        let matrices = self.attention.matrices().into_iter().chain(self.feed_forward.matrices());
        let mut tensors: Named =
            matrices.flat_map(|(matrix, linear)| linear.tensors(&format!("{name}.{}", matrix.name()))).collect();
        tensors.extend(self.attention.head_norms(name));
        tensors.extend(self.attention_norm.tensors(&format!("{name}.attention_norm")));
        tensors.extend(self.feed_forward_norm.tensors(&format!("{name}.feed_forward_norm")));
        tensors
    }

    /// Those that tuning has added.
    pub(super) fn additions(&self, name: &str) -> Named {
        let matrices = self.attention.matrices().into_iter().chain(self.feed_forward.matrices());
        let updates = matrices.flat_map(|(matrix, linear)| linear.additions(&format!("{name}.{}", matrix.name())));
        let adapters = self.adapters.iter().flatten().zip(["attention_adapter", "feed_forward_adapter"]);
        let adapters = adapters.flat_map(|(adapter, part)| {
            adapter.tensors().map(|(tensor, value)| (format!("{name}.{part}.{tensor}"), value.shallow_clone()))
        });
        updates.chain(adapters).collect()
    }
}

#[derive(Debug)]
struct FeedForward {
    up: Linear,
    gate: Option<Linear>,
    down: Linear,
    activation: Activation,
}

impl FeedForward {
    fn load(source: &Source<'_>, layer: &str, shape: &Shape, width: i64, transposed: bool) -> Result<Self> {
        let (up, down) = ([shape.width, width], [width, shape.width]);
        Ok(Self {
            up: source.linear(layer, shape.up, up, transposed)?,
            gate: shape.gate.map(|gate| source.linear(layer, gate, up, transposed)).transpose()?,
            down: source.linear(layer, shape.down, down, transposed)?,
            activation: shape.activation,
        })
    }

    fn matrices(&self) -> Vec<(Matrix, &Linear)> {
        let gate = self.gate.iter().map(|gate| (Matrix::Gate, gate));
        [(Matrix::Up, &self.up), (Matrix::Down, &self.down)].into_iter().chain(gate).collect()
    }

    fn matrices_mut(&mut self) -> Vec<(Matrix, &mut Linear)> {
        let gate = self.gate.iter_mut().map(|gate| (Matrix::Gate, gate));
        [(Matrix::Up, &mut self.up), (Matrix::Down, &mut self.down)].into_iter().chain(gate).collect()
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let up = self.up.forward(input)?;
        let inner = match &self.gate {
            Some(gate) => self.activation.forward(&gate.forward(input)?)?.f_mul(&up)?,
            None => self.activation.forward(&up)?,
        };
        self.down.forward(&inner)
    }
}
