//! Rotary positions (Su et al. 2021): each pair of a head's dimensions is turned by the token's position times a frequency.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use crate::architecture::{Rotary as Spec, Scaling};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Rotary {
    /// `[head_width / 2]`.
    frequencies: Tensor,
}

/// Cosines and sines, `[tokens, head_width]`.
#[derive(Debug)]
pub(super) struct Angles {
    cosine: Tensor,
    sine: Tensor,
}

impl Rotary {
    pub(super) fn new(spec: Spec, head_width: i64, device: Device) -> Result<Self> {
        let exponents = (0..head_width / 2).map(|pair| 2.0 * pair as f64 / head_width as f64);
        let frequencies: Vec<f32> =
            exponents.map(|exponent| scaled(spec.base.powf(-exponent), spec.scaling) as f32).collect();
        Ok(Self { frequencies: Tensor::f_from_slice(&frequencies)?.f_to_device(device)? })
    }

    pub(super) fn angles(&self, tokens: i64) -> Result<Angles> {
        let positions = Tensor::f_arange(tokens, (Kind::Float, self.frequencies.device()))?;
        let angles = positions.f_outer(&self.frequencies)?;
        let angles = Tensor::f_cat(&[&angles, &angles], 1)?;
        Ok(Angles { cosine: angles.f_cos()?, sine: angles.f_sin()? })
    }
}

fn scaled(frequency: f64, scaling: Scaling) -> f64 {
    match scaling {
        Scaling::Unscaled => frequency,
        Scaling::Linear { factor } => frequency / factor,
        Scaling::Llama3 { factor, low_frequency, high_frequency, original } => {
            // How often the pair turns within what pretraining saw.
            let turns = original * frequency / TAU;
            if turns > high_frequency {
                return frequency;
            }
            if turns < low_frequency {
                return frequency / factor;
            }
            let share = (turns - low_frequency) / (high_frequency - low_frequency);
            share * frequency + (1.0 - share) * frequency / factor
        }
    }
}

/// Turns `[inputs, heads, tokens, head_width]`; a pair's dimensions are half a head apart.
pub(super) fn turn(tokens: &Tensor, angles: &Angles) -> Result<Tensor> {
    let halves = tokens.f_chunk(2, -1)?;
    let other = Tensor::f_cat(&[&halves[1].f_neg()?, &halves[0]], -1)?;
    Ok(tokens.f_mul(&angles.cosine)?.f_add(&other.f_mul(&angles.sine)?)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn scores_depend_on_how_far_tokens_are_apart_alone() {
        let spec = Spec { base: 100.0, scaling: Scaling::Unscaled, longest: 6 };
        let angles = Rotary::new(spec, 4, Device::Cpu).unwrap().angles(6).unwrap();
        let same = |vector: &[f32; 4]| Tensor::from_slice(vector).view([1, 1, 1, 4]).repeat([1, 1, 6, 1]);
        let query = turn(&same(&[0.3, -1.0, 0.5, 2.0]), &angles).unwrap();
        let key = turn(&same(&[1.0, 0.2, -0.7, 0.4]), &angles).unwrap();
        let scores = query.matmul(&key.transpose(2, 3));
        let score = |query: i64, key: i64| scores.double_value(&[0, 0, query, key]);
        assert!((score(1, 0) - score(5, 4)).abs() < 1e-5);
        assert!((score(3, 0) - score(5, 2)).abs() < 1e-5);
        assert!((score(1, 0) - score(2, 0)).abs() > 1e-3);
    }

    #[test]
    fn what_turns_often_keeps_its_frequency_and_what_turns_slowly_is_slowed_down() {
        let scaling = Scaling::Llama3 { factor: 8.0, low_frequency: 1.0, high_frequency: 4.0, original: 8192.0 };
        assert_eq!(scaled(1.0, scaling), 1.0);
        assert_eq!(scaled(1e-6, scaling), 1e-6 / 8.0);
        let between = scaled(2.0 * TAU / 8192.0, scaling) / (2.0 * TAU / 8192.0);
        assert!((1.0 / 8.0..1.0).contains(&between), "{between}");
    }
}
