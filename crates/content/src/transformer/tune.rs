//! Adds to a transformer what is trained of it, and lists that.

use tch::Tensor;

use crate::error::{ContentError, Result};

use super::Transformer;
use super::block::Block;
use super::distances::Distances;
use super::layers::Named;
use super::precision::Precision;
use super::tuning::{Fresh, Matrix, Tuning};

impl Transformer {
    /// Makes what `tuning` trains: a pure function of the seed. What was made before is forgotten.
    ///
    /// # Errors
    /// [`ContentError::Configuration`] where a size isn't above 0, the encoder has no such matrix, or its matrices are held
    /// in 8 bits.
    pub fn tune(&mut self, tuning: &Tuning, seed: u64) -> Result<()> {
        let mut fresh = Fresh::new(seed, self.device());
        let refuse = |reason: &str| Err(ContentError::Configuration(reason.into()));
        match tuning {
            Tuning::Frozen => {}
            _ if self.precision == Precision::Int8 => {
                return refuse("`precision: Int8`: nothing leads back through integers, `tuning` needs Float32");
            }
            Tuning::LowRank { rank, .. } if *rank < 1 => return refuse("`tuning.lowRank.rank` must be above 0"),
            Tuning::LowRank { targets, .. } if targets.is_empty() => {
                return refuse("`tuning.lowRank.targets` is empty");
            }
            Tuning::LowRank { targets, .. } if targets.contains(&Matrix::Gate) && !self.has_gates() => {
                return refuse("`tuning.lowRank.targets`: this encoder has no gates");
            }
            Tuning::Adapters { width } if *width < 1 => return refuse("`tuning.adapters.width` must be above 0"),
            _ => {}
        }
        for block in &mut self.blocks {
            block.tune(tuning, &mut fresh)?;
        }
        for (_, tensor) in self.tensors() {
            let _ = tensor.f_set_requires_grad(*tuning == Tuning::Full)?;
        }
        for (_, tensor) in self.additions() {
            let _ = tensor.f_set_requires_grad(true)?;
        }
        Ok(())
    }

    /// What is trained, by name: leaves that require gradients, always in the same order. An optimizer changes them in
    /// place.
    pub fn trained(&self) -> Vec<(String, Tensor)> {
        let all = self.tensors().into_iter().chain(self.additions());
        all.filter(|(_, tensor)| tensor.requires_grad()).collect()
    }

    fn has_gates(&self) -> bool {
        self.blocks.iter().any(Block::has_gate)
    }

    /// Those of the checkpoint.
    fn tensors(&self) -> Named {
        let mut tensors = self.embeddings.tensors();
        tensors.extend(self.distances.iter().flat_map(Distances::tensors));
        for (block, number) in self.blocks.iter().zip(0..) {
            tensors.extend(block.tensors(&format!("block.{number}")));
        }
        tensors.extend(self.final_norm.iter().flat_map(|norm| norm.tensors("final_norm")));
        tensors
    }

    /// Those that tuning has added.
    fn additions(&self) -> Named {
        let blocks = self.blocks.iter().zip(0..);
        blocks.flat_map(|(block, number)| block.additions(&format!("block.{number}"))).collect()
    }
}
