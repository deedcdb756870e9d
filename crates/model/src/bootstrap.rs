//! Whether one model is better than another on the same users, by the paired bootstrap (Efron and Tibshirani 1993).

use serde::Serialize;

use crate::error::{ModelError, Result};
use crate::metrics::mean;
use crate::philox::{Purpose, Stream, index_below};

/// Share of the values that lie below an interval, and above it.
const TAIL: f64 = 0.025;

/// A ratio of two means and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatioInterval {
    /// Mean of the new values over that of the old ones.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A mean and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanInterval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The mean of users' values, with its 95 % percentile interval from resampling users. Of differences between two models'
/// values for the same users it is the paired interval. The result is a pure function of its arguments.
pub fn mean_interval(values: &[f64], resamples: usize, seed: u64) -> Result<MeanInterval> {
    if values.is_empty() || resamples == 0 {
        let users = values.len();
        return Err(ModelError::Input(format!("an interval of {users} users' values and {resamples} resamples")));
    }
    let mut means = resample(values.len(), resamples, seed, |drawn| {
        drawn.map(|user| values[user]).sum::<f64>() / values.len() as f64
    });
    let (low, high) = middle(&mut means);
    Ok(MeanInterval { mean: mean(values), low, high })
}

/// What `measure` makes of so many resamples, each as many users as there are, drawn with replacement.
fn resample(
    users: usize,
    resamples: usize,
    seed: u64,
    mut measure: impl FnMut(&mut dyn Iterator<Item = usize>) -> f64,
) -> Vec<f64> {
    let stream = Stream::new(seed, Purpose::Bootstrap);
    let mut words = vec![0; users];
    (0..resamples)
        .map(|resample| {
            stream.fill(0, [resample as u32, 0, 0], &mut words);
            measure(&mut words.iter().map(|word| index_below(*word, users)))
        })
        .collect()
}

/// The ratio of two models' mean values over the same users, with its 95 % percentile interval from resampling users.
///
/// `new[u]` and `old[u]` belong to one user: pairing takes out what makes a user easy or hard for both. The result is a
/// pure function of its arguments. Where the old mean is 0, the ratio is 1 if the new one is too, else infinite.
pub fn ratio_interval(new: &[f64], old: &[f64], resamples: usize, seed: u64) -> Result<RatioInterval> {
    if new.len() != old.len() || new.is_empty() || resamples == 0 {
        return Err(ModelError::Input(format!(
            "a paired comparison needs the same users, at least one, and resamples: {} and {} users, {resamples} resamples",
            new.len(),
            old.len()
        )));
    }
    let mut ratios = resample(new.len(), resamples, seed, |drawn| {
        let (above, below) = drawn.fold((0.0, 0.0), |(above, below), user| (above + new[user], below + old[user]));
        ratio(above, below)
    });
    let (low, high) = middle(&mut ratios);
    Ok(RatioInterval { ratio: ratio(mean(new), mean(old)), low, high })
}

/// The ends of the middle 95 % of values, of which there is at least one. Sorts them.
pub(crate) fn middle(values: &mut [f64]) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    (at(TAIL), at(1.0 - TAIL))
}

fn ratio(new: f64, old: f64) -> f64 {
    if new == old { 1.0 } else { new / old }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Values of users of different difficulty, of which no two are alike.
    fn values(users: u32, shift: f64) -> Vec<f64> {
        let stream = Stream::new(9, Purpose::Bootstrap);
        (0..users)
            .map(|user| 0.2 + shift + f64::from(stream.word(user, [u32::MAX, 1, 2])) / 2.0_f64.powi(33))
            .collect()
    }

    #[test]
    fn equal_models_have_ratio_one_without_doubt() {
        let old = values(50, 0.0);
        let interval = ratio_interval(&old, &old, 500, 1).unwrap();
        assert_eq!(interval, RatioInterval { ratio: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn a_model_that_is_better_for_everybody_is_better_in_the_whole_interval() {
        let interval = ratio_interval(&values(50, 0.01), &values(50, 0.0), 500, 1).unwrap();
        assert!(
            1.0 < interval.low && interval.low < interval.ratio && interval.ratio < interval.high,
            "{interval:?}"
        );
    }

    #[test]
    fn pairing_makes_the_interval_narrower_than_unpaired_users_would() {
        let old = values(200, 0.0);
        let better = values(200, 0.01);
        let mut unpaired = better.clone();
        unpaired.rotate_left(77);
        let width = |new: &[f64]| {
            let interval = ratio_interval(new, &old, 500, 1).unwrap();
            interval.high - interval.low
        };
        assert!(width(&better) < width(&unpaired) / 4.0);
    }

    #[test]
    fn the_interval_is_a_function_of_the_seed() {
        let (new, old) = (values(40, 0.02), values(40, 0.0));
        let at = |seed| ratio_interval(&new, &old, 200, seed).unwrap();
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }

    #[rstest]
    #[case(&[1.0], &[1.0, 2.0], 10)]
    #[case(&[], &[], 10)]
    #[case(&[1.0], &[1.0], 0)]
    fn what_can_not_be_compared_is_refused(#[case] new: &[f64], #[case] old: &[f64], #[case] resamples: usize) {
        assert!(matches!(ratio_interval(new, old, resamples, 1), Err(ModelError::Input(_))));
    }

    #[test]
    fn an_old_mean_of_zero_is_no_failure() {
        assert_eq!(ratio_interval(&[0.0], &[0.0], 10, 1).unwrap().ratio, 1.0);
        assert_eq!(ratio_interval(&[0.5], &[0.0], 10, 1).unwrap().ratio, f64::INFINITY);
    }

    #[test]
    fn a_mean_has_the_interval_of_its_standard_error() {
        let values = values(400, 0.0);
        let found = mean_interval(&values, 2000, 3).unwrap();
        let variance = values.iter().map(|value| (value - found.mean).powi(2)).sum::<f64>() / 399.0;
        let wide = 2.0 * 1.96 * (variance / 400.0).sqrt();
        assert!(found.low < found.mean && found.mean < found.high);
        assert!(((found.high - found.low) / wide - 1.0).abs() < 0.1, "{found:?} {wide}");
        assert!(mean_interval(&[], 10, 1).is_err());
    }
}
