//! Linear layers, norms and activations, and how they are read from a checkpoint.

use tch::{Device, Tensor};

use crate::architecture::{self, Activation};
use crate::error::Result;
use crate::weights::Weights;

use super::precision::{Held, Precision};
use super::tuning::{Fresh, LowRank};

/// A checkpoint, and where its tensors go.
pub(super) struct Source<'a> {
    pub(super) weights: &'a Weights,
    pub(super) device: Device,
    pub(super) precision: Precision,
    pub(super) norm: architecture::Norm,
}

impl Source<'_> {
    pub(super) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        Ok(self.weights.get(name, shape)?.f_to_device(self.device)?)
    }

    /// A matrix `[to, from]`, stored so or the other way round, with its bias.
    pub(super) fn linear(
        &self,
        layer: &str,
        spec: architecture::Linear,
        shape: [i64; 2],
        transposed: bool,
    ) -> Result<Linear> {
        let [to, from] = shape;
        let name = format!("{layer}{}.weight", spec.name);
        let weight = match transposed {
            true => self.tensor(&name, &[from, to])?.f_transpose(0, 1)?.f_contiguous()?,
            false => self.tensor(&name, &[to, from])?,
        };
        let bias = spec.bias.then(|| self.tensor(&format!("{layer}{}.bias", spec.name), &[to])).transpose()?;
        Ok(Linear { weight: Held::matrix(weight, self.precision)?, bias, update: None })
    }

    /// A table of vectors, `[rows, width]`.
    pub(super) fn table(&self, name: &str, shape: &[i64]) -> Result<Held> {
        Held::table(self.tensor(name, shape)?, self.precision)
    }

    pub(super) fn norm(&self, name: &str, width: i64) -> Result<Norm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        Ok(match self.norm {
            architecture::Norm::Layer { epsilon } => {
                let bias = self.tensor(&format!("{name}.bias"), &[width])?;
                Norm { weight, bias: Some(bias), epsilon }
            }
            architecture::Norm::RootMeanSquare { epsilon } => Norm { weight, bias: None, epsilon },
        })
    }
}

/// A checkpoint's tensors that can be trained, by the names that they have here.
pub(super) type Named = Vec<(String, Tensor)>;

/// `x W^T + b`, and an update of low rank where the matrix is tuned by one.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Held,
    bias: Option<Tensor>,
    update: Option<LowRank>,
}

impl Linear {
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.weight.linear(input, self.bias.as_ref())?;
        match &self.update {
            Some(update) => Ok(output.f_add(&update.forward(input)?)?),
            None => Ok(output),
        }
    }

    /// Takes an update of low rank, or none.
    pub(super) fn tune(&mut self, update: Option<(i64, f64)>, fresh: &mut Fresh) -> Result<()> {
        let (to, from) = self.weight.shape()?;
        self.update = update.map(|(rank, alpha)| LowRank::new([to, from], rank, alpha, fresh)).transpose()?;
        Ok(())
    }

    pub(super) fn tensors(&self, name: &str) -> Named {
        named(name, self.weight.trainable(), self.bias.as_ref())
    }

    pub(super) fn additions(&self, name: &str) -> Named {
        let update = self.update.iter().flat_map(LowRank::tensors);
        update.map(|(part, tensor)| (format!("{name}.{part}"), tensor.shallow_clone())).collect()
    }

    /// Layers that are stored in one, one after the other.
    pub(super) fn split<const PARTS: usize>(&self, widths: [i64; PARTS]) -> Result<[Linear; PARTS]> {
        let mut from = 0;
        let mut parts = Vec::with_capacity(PARTS);
        for width in widths {
            parts.push(Linear {
                weight: self.weight.part(from, width)?,
                bias: self.bias.as_ref().map(|bias| bias.f_narrow(0, from, width)).transpose()?,
                update: None,
            });
            from += width;
        }
        parts.try_into().map_err(|_| unreachable!("as many parts as widths"))
    }
}

fn named(name: &str, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Named {
    let parts = [("weight", weight), ("bias", bias)].into_iter();
    parts.filter_map(|(part, tensor)| Some((format!("{name}.{part}"), tensor?.shallow_clone()))).collect()
}

/// A norm over the last dimension; without a bias it is by the root mean square.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Tensor,
    bias: Option<Tensor>,
    epsilon: f64,
}

impl Norm {
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let shape = self.weight.size();
        Ok(match &self.bias {
            Some(bias) => input.f_layer_norm(shape, Some(&self.weight), Some(bias), self.epsilon, false)?,
            None => input.f_rms_norm(shape, Some(&self.weight), self.epsilon)?,
        })
    }

    pub(super) fn tensors(&self, name: &str) -> Named {
        named(name, Some(&self.weight), self.bias.as_ref())
    }
}

impl Activation {
    pub(super) fn forward(self, input: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Activation::Gelu => input.f_gelu("none")?,
            Activation::GeluTanh => input.f_gelu("tanh")?,
            Activation::QuickGelu => input.f_mul(&input.f_mul_scalar(1.702)?.f_sigmoid()?)?,
            Activation::Relu => input.f_relu()?,
            Activation::Silu => input.f_silu()?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_update_of_low_rank_is_added_to_the_matrix() {
        let random = |shape: [i64; 2]| Tensor::randn(shape, (tch::Kind::Float, Device::Cpu));
        let matrix = random([5, 3]);
        let mut linear = Linear { weight: Held::Float32(matrix.shallow_clone()), bias: None, update: None };
        linear.tune(Some((2, 6.0)), &mut Fresh::new(1, Device::Cpu)).unwrap();
        let update: Vec<Tensor> = linear.additions("").into_iter().map(|(_, tensor)| tensor).collect();
        let (down, mut up) = (&update[0], update[1].shallow_clone());
        up.copy_(&random([5, 2]));
        let merged = Linear { weight: Held::Float32(matrix + 3.0 * up.matmul(down)), bias: None, update: None };
        let input = random([4, 3]);
        assert!(linear.forward(&input).unwrap().allclose(&merged.forward(&input).unwrap(), 1e-5, 1e-5, false));
    }
}
