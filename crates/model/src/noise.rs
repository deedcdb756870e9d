//! Random tensors, each number keyed by what it is for, so that a batch's noise doesn't depend on how it is split.
//!
//! Words come from [`crate::philox`]; libtorch's vectorised functions turn them into normal and Gumbel numbers.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::philox::{Purpose, Stream, unit};

/// Words drawn at a time for large tensors: bounds what a draw holds beside its result.
const CHUNK: usize = 1 << 20;

/// The noise of one model's training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    routing: Stream,
    dropout: Stream,
    latent: Stream,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            routing: Stream::new(seed, Purpose::Routing),
            dropout: Stream::new(seed, Purpose::Dropout),
            latent: Stream::new(seed, Purpose::Latent),
        }
    }

    /// Whether dropout keeps an item of a user at a step.
    pub(crate) fn keeps(&self, dropout: f64, step: u64, user_key: u64, item: i64) -> bool {
        f64::from(unit(self.dropout.word(item as u32, place(step, user_key)))) >= dropout
    }

    /// Standard normal numbers `[users, dimensions]`, keyed by step, user and dimension.
    pub(crate) fn latent(&self, step: u64, user_keys: &[u64], dimensions: usize) -> Result<Tensor> {
        let padded = dimensions.next_multiple_of(2);
        let mut words = vec![0; padded];
        let mut units = Vec::with_capacity(user_keys.len() * padded);
        for &user_key in user_keys {
            self.latent.fill(0, place(step, user_key), &mut words);
            units.extend(words.iter().map(|&word| unit(word)));
        }
        let normal = normal(&units)?.f_view_([user_keys.len() as i64, padded as i64])?;
        Ok(normal.f_narrow(1, 0, dimensions as i64)?)
    }

    /// Standard Gumbel numbers `[facets, items]`, keyed by step, facet and item.
    pub(crate) fn gumbel(&self, step: u64, facets: usize, items: usize) -> Result<Tensor> {
        let mut words = vec![0; items];
        let mut units = Vec::with_capacity(facets * items);
        for facet in 0..facets {
            self.routing.fill(0, [step as u32, facet as u32, 0], &mut words);
            units.extend(words.iter().map(|&word| unit(word)));
        }
        let mut drawn = Tensor::f_from_slice(&units)?;
        for _ in 0..2 {
            let _ = drawn.f_log_()?;
            let _ = drawn.f_neg_()?;
        }
        Ok(drawn.f_view_([facets as i64, items as i64])?)
    }
}

/// Standard normal numbers of a fresh parameter, keyed by its place in the order of parameters.
pub(crate) fn initial(seed: u64, parameter: usize, length: usize) -> Result<Tensor> {
    let stream = Stream::new(seed, Purpose::Parameters);
    let result = Tensor::f_zeros([length as i64], (Kind::Float, Device::Cpu))?;
    let mut words = Vec::new();
    for start in (0..length).step_by(CHUNK) {
        let drawn = CHUNK.min(length - start);
        words.resize(drawn.next_multiple_of(2), 0);
        stream.fill(start, [parameter as u32, 0, 0], &mut words);
        let units: Vec<f32> = words.iter().map(|&word| unit(word)).collect();
        let part = normal(&units)?.f_narrow(0, 0, drawn as i64)?;
        result.f_narrow(0, start as i64, drawn as i64)?.f_copy_(&part)?;
    }
    Ok(result)
}

/// The rest of a counter: a step (its lower 32 bits) and a user.
fn place(step: u64, user_key: u64) -> [u32; 3] {
    [step as u32, user_key as u32, (user_key >> 32) as u32]
}

/// Box and Muller's transform of pairs of neighbours.
fn normal(units: &[f32]) -> Result<Tensor> {
    let pairs = Tensor::f_from_slice(units)?.f_view_([-1, 2])?;
    let radius = pairs.f_select(1, 0)?.f_log()?.f_mul_scalar(-2.0)?.f_sqrt()?;
    let angle = pairs.f_select(1, 1)?.f_mul_scalar(TAU)?;
    let both = [radius.f_mul(&angle.f_cos()?)?, radius.f_mul(&angle.f_sin()?)?];
    Ok(Tensor::f_stack(&both, 1)?.f_view_([-1])?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn moments(drawn: &Tensor) -> (f64, f64) {
        let mean = drawn.f_mean(Kind::Double).unwrap().f_double_value(&[]).unwrap();
        let square = drawn.f_square().unwrap().f_mean(Kind::Double).unwrap().f_double_value(&[]).unwrap();
        (mean, square - mean * mean)
    }

    #[test]
    fn latent_noise_is_standard_normal() {
        let keys: Vec<u64> = (0..1000).collect();
        let (mean, variance) = moments(&Noise::new(1).latent(3, &keys, 101).unwrap());
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn routing_noise_has_gumbels_moments() {
        let (mean, variance) = moments(&Noise::new(1).gumbel(3, 7, 20_001).unwrap());
        assert!((mean - 0.5772).abs() < 0.02, "{mean}");
        assert!((variance - 1.6449).abs() < 0.04, "{variance}");
    }

    #[test]
    fn a_users_noise_does_not_depend_on_its_neighbours() {
        let noise = Noise::new(1);
        let together = noise.latent(5, &[10, 11, 12], 9).unwrap();
        let alone = noise.latent(5, &[12], 9).unwrap();
        assert!(together.f_narrow(0, 2, 1).unwrap().f_equal(&alone).unwrap());
    }

    #[test]
    fn dropout_keeps_its_share_and_changes_with_the_step() {
        let noise = Noise::new(1);
        let kept = |step| (0..10_000).filter(|&item| noise.keeps(0.25, step, 42, item)).collect::<Vec<_>>();
        assert!((kept(0).len() as f64 - 7500.0).abs() < 200.0);
        assert_ne!(kept(0), kept(1));
    }

    #[test]
    fn initial_parameters_are_normal_and_differ_by_parameter() {
        let first = initial(1, 0, CHUNK + 3).unwrap();
        let (mean, variance) = moments(&first);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.01, "{mean} {variance}");
        assert!(!first.f_equal(&initial(1, 1, CHUNK + 3).unwrap()).unwrap());
    }
}
