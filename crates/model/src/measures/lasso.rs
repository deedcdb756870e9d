//! Linear regression with an L1 penalty (Tibshirani 1996) by coordinate descent (Friedman, Hastie and Tibshirani,
//! "Regularization Paths for Generalized Linear Models via Coordinate Descent", 2010), its penalty chosen by
//! cross-validation.

const FOLDS: usize = 5;
/// Penalties tried: from the one at which every weight is 0 down to a thousandth of it.
const PENALTIES: usize = 20;
const SMALLEST: f64 = 1e-3;
const ROUNDS: usize = 1000;
const TOLERANCE: f64 = 1e-7;

/// A fitted probe.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    /// A weight for each feature, of features and targets with variance 1.
    pub(super) weights: Vec<f64>,
    /// Share of the target's variance that is told on people who weren't fitted on; below 0 where the mean tells more.
    pub(super) r2: f64,
}

/// People's features, ready to be fitted to as many targets as there are.
pub(super) struct Design<'a> {
    features: usize,
    rows: &'a [f64],
    whole: Features,
    /// Without the people of each fold.
    folds: Vec<Features>,
}

impl<'a> Design<'a> {
    /// `rows` of `features` numbers. `None` with fewer than two rows for each fold.
    pub(super) fn new(features: usize, rows: &'a [f64]) -> Option<Self> {
        let people = rows.len() / features;
        if people < 2 * FOLDS {
            return None;
        }
        let fold =
            |fold| Features::of(features, rows, (0..people).filter(|person| person % FOLDS != fold).collect());
        Some(Self {
            features,
            rows,
            whole: Features::of(features, rows, (0..people).collect()),
            folds: (0..FOLDS).map(fold).collect(),
        })
    }

    /// Fits `targets`, one for each row. `None` where the target is the same for all.
    pub(super) fn fit(&self, targets: &[f64]) -> Option<Probe> {
        let (features, people) = (self.features, targets.len());
        let whole = Moments::of(&self.whole, self.rows, targets);
        if whole.target_variance() <= f64::EPSILON {
            return None;
        }
        let penalties = penalties(&whole);
        let mut errors = vec![0.0; penalties.len()];
        let mut total = 0.0;
        for (fold, of_others) in self.folds.iter().enumerate() {
            let fitted = Moments::of(of_others, self.rows, targets);
            let mut weights = vec![0.0; features];
            for (error, penalty) in errors.iter_mut().zip(&penalties) {
                fitted.descend(*penalty, &mut weights);
                for person in (fold..people).step_by(FOLDS) {
                    let row = &self.rows[person * features..][..features];
                    *error += (targets[person] - fitted.predict(&weights, row)).powi(2);
                }
            }
            let missed = |person: usize| (targets[person] - fitted.target_mean).powi(2);
            total += (fold..people).step_by(FOLDS).map(missed).sum::<f64>();
        }
        let (best, error) = errors.iter().copied().enumerate().min_by(|left, right| left.1.total_cmp(&right.1))?;
        let mut weights = vec![0.0; features];
        // Along the path, as it was tried.
        penalties[..=best].iter().for_each(|penalty| whole.descend(*penalty, &mut weights));
        Some(Probe { weights, r2: 1.0 - error / total })
    }
}

fn penalties(whole: &Moments<'_>) -> Vec<f64> {
    let largest = whole.products.iter().copied().map(f64::abs).fold(0.0, f64::max);
    let step = SMALLEST.powf(1.0 / (PENALTIES - 1) as f64);
    (0..PENALTIES).map(|index| largest * step.powi(index as i32)).collect()
}

/// Means, scales and correlations of some people's features: all of them that coordinate descent looks at.
struct Features {
    people: Vec<usize>,
    means: Vec<f64>,
    /// Standard deviations; 0 of constant features.
    scales: Vec<f64>,
    /// Correlations, `[features, features]`.
    gram: Vec<f64>,
}

impl Features {
    fn of(features: usize, rows: &[f64], people: Vec<usize>) -> Self {
        let count = people.len() as f64;
        let mut means = vec![0.0; features];
        for person in &people {
            let row = &rows[person * features..][..features];
            means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
        }
        means.iter_mut().for_each(|mean| *mean /= count);
        // One half, since the other is the same.
        let mut gram = vec![0.0; features * features];
        let mut deviations = vec![0.0; features];
        for person in &people {
            let row = &rows[person * features..][..features];
            deviations.iter_mut().zip(row).zip(&means).for_each(|((to, value), mean)| *to = value - mean);
            for (left, deviation) in deviations.iter().enumerate() {
                let to = &mut gram[left * features..][..=left];
                to.iter_mut().zip(&deviations).for_each(|(to, other)| *to += deviation * other);
            }
        }
        let scales: Vec<f64> = (0..features).map(|feature| scale(gram[feature * (features + 1)] / count)).collect();
        for left in 0..features {
            for right in 0..=left {
                let correlation = over(gram[left * features + right] / count, scales[left] * scales[right]);
                gram[left * features + right] = correlation;
                gram[right * features + left] = correlation;
            }
        }
        Self { people, means, scales, gram }
    }
}

fn scale(variance: f64) -> f64 {
    if variance > 1e-14 { variance.sqrt() } else { 0.0 }
}

fn over(value: f64, scales: f64) -> f64 {
    if scales > 0.0 { value / scales } else { 0.0 }
}

/// The same people's target, and its correlations with their features.
struct Moments<'a> {
    of: &'a Features,
    target_mean: f64,
    target_scale: f64,
    products: Vec<f64>,
}

impl<'a> Moments<'a> {
    fn of(of: &'a Features, rows: &[f64], targets: &[f64]) -> Self {
        let (features, count) = (of.means.len(), of.people.len() as f64);
        let target_mean = of.people.iter().map(|person| targets[*person]).sum::<f64>() / count;
        let squares = of.people.iter().map(|person| (targets[*person] - target_mean).powi(2));
        let target_scale = scale(squares.sum::<f64>() / count);
        let mut products = vec![0.0; features];
        for person in &of.people {
            let row = &rows[person * features..][..features];
            let deviation = targets[*person] - target_mean;
            let deviations = row.iter().zip(&of.means).map(|(value, mean)| value - mean);
            products.iter_mut().zip(deviations).for_each(|(to, own)| *to += own * deviation);
        }
        let scaled = products.iter().zip(&of.scales).map(|(sum, own)| over(sum / count, own * target_scale));
        Self { of, target_mean, target_scale, products: scaled.collect() }
    }

    fn target_variance(&self) -> f64 {
        self.target_scale.powi(2)
    }

    /// Minimises half the mean squared error plus the penalty times the sum of absolute weights, from `weights` on.
    fn descend(&self, penalty: f64, weights: &mut [f64]) {
        for _ in 0..ROUNDS {
            let mut moved: f64 = 0.0;
            for feature in 0..self.products.len() {
                if self.of.scales[feature] == 0.0 {
                    continue;
                }
                let row = &self.of.gram[feature * self.products.len()..][..self.products.len()];
                let others: f64 = row.iter().zip(&*weights).map(|(product, weight)| product * weight).sum();
                let residual = self.products[feature] - (others - weights[feature]);
                let next = residual.signum() * (residual.abs() - penalty).max(0.0);
                moved = moved.max((next - weights[feature]).abs());
                weights[feature] = next;
            }
            if moved < TOLERANCE {
                return;
            }
        }
    }

    fn predict(&self, weights: &[f64], row: &[f64]) -> f64 {
        let Features { means, scales, .. } = self.of;
        let terms = (0..row.len()).filter(|feature| scales[*feature] > 0.0);
        let sum: f64 =
            terms.map(|feature| weights[feature] * (row[feature] - means[feature]) / scales[feature]).sum();
        self.target_mean + self.target_scale * sum
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// Numbers without pattern between -0.5 and 0.5.
    pub(in crate::measures) fn noise(index: usize) -> f64 {
        let word = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = (word ^ (word >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((word >> 11) as f64) / (1_u64 << 53) as f64 - 0.5
    }

    fn fit(features: usize, rows: &[f64], targets: &[f64]) -> Option<Probe> {
        Design::new(features, rows)?.fit(targets)
    }

    fn rows(people: usize) -> Vec<f64> {
        (0..people * 4).map(noise).collect()
    }

    #[test]
    fn a_target_that_is_one_feature_is_told_by_that_one_alone() {
        let rows = rows(200);
        let targets: Vec<f64> = rows.chunks(4).map(|row| 3.0 * row[2] + 1.0).collect();
        let probe = fit(4, &rows, &targets).unwrap();
        assert!(probe.r2 > 0.999, "{probe:?}");
        assert!((probe.weights[2] - 1.0).abs() < 0.01, "{probe:?}");
        assert!([0, 1, 3].iter().all(|other| probe.weights[*other].abs() < 0.01), "{probe:?}");
    }

    #[test]
    fn a_target_that_no_feature_tells_has_no_r2() {
        let targets: Vec<f64> = (0..200).map(|person| noise(10_000 + person)).collect();
        let probe = fit(4, &rows(200), &targets).unwrap();
        assert!(probe.r2 < 0.05, "{probe:?}");
    }

    #[test]
    fn weights_meet_the_conditions_of_a_minimum() {
        // Of the lasso: |gradient| <= penalty, and equal to it where a weight isn't 0.
        let rows = rows(300);
        let targets: Vec<f64> = rows
            .chunks(4)
            .enumerate()
            .map(|(person, row)| row[0] - 0.5 * row[1] + noise(50_000 + person))
            .collect();
        let features = Features::of(4, &rows, (0..300).collect());
        let moments = Moments::of(&features, &rows, &targets);
        let mut weights = vec![0.0; 4];
        moments.descend(0.1, &mut weights);
        assert!(weights.iter().any(|weight| *weight != 0.0) && weights.contains(&0.0), "{weights:?}");
        for feature in 0..4 {
            let fitted: f64 = (0..4).map(|other| features.gram[feature * 4 + other] * weights[other]).sum();
            let gradient = moments.products[feature] - fitted;
            match weights[feature] == 0.0 {
                true => assert!(gradient.abs() <= 0.1 + 1e-6, "{gradient}"),
                false => assert!((gradient - 0.1 * weights[feature].signum()).abs() < 1e-6, "{gradient}"),
            }
        }
    }

    #[test]
    fn constant_features_and_targets_are_left_alone() {
        let mut rows = rows(100);
        rows.chunks_mut(4).for_each(|row| row[3] = 0.25);
        let targets: Vec<f64> = rows.chunks(4).map(|row| row[0]).collect();
        assert_eq!(fit(4, &rows, &targets).unwrap().weights[3], 0.0);
        assert_eq!(fit(4, &rows, &[1.0; 100]), None);
        assert_eq!(fit(4, &rows[..36], &targets[..9]), None);
    }
}
