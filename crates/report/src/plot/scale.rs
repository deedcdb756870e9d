//! From numbers to places.

/// A linear scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// From the range of `values`, those that are numbers, to places from `start` to `end`.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, start: f64, end: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // One value alone is in the middle.
        if low == high {
            let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
            (low, high) = (low - around, high + around);
        }
        Scale { low, high, start, end }
    }

    /// The place of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// Round values within the scale, about so many, with their texts: as many digits as the values are apart.
    pub(super) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / about.max(1) as f64;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * magnitude >= rough).unwrap_or(10.0)
            * magnitude;
        let digits = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        // Never more than fit, whatever numbers come.
        let values = (first..=last).take(4 * about.max(1)).map(|number| number as f64 * step);
        values.map(|value| (value, format!("{value:.digits$}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside_and_have_the_digits_that_tell_them_apart() {
        let texts = |low, high, about| -> Vec<String> {
            Scale::over([low, high], 0.0, 100.0).ticks(about).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(0.013, 0.44, 4), ["0.2", "0.4"]);
        assert_eq!(texts(1.0, 93.0, 4), ["50"]);
        assert_eq!(texts(0.31, 0.3904, 4), ["0.35"]);
        assert_eq!(texts(0.0, 0.21, 5), ["0.00", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(texts(0.0, 100.0, 5), ["0", "20", "40", "60", "80", "100"]);
    }

    #[test]
    fn any_numbers_have_a_place() {
        for values in [vec![], vec![f64::NAN], vec![3.0], vec![0.0], vec![-1.0, f64::INFINITY]] {
            let scale = Scale::over(values.clone(), 10.0, 20.0);
            assert!(scale.at(0.0).is_finite() && !scale.ticks(4).is_empty(), "{values:?}");
        }
        let alone = Scale::over([3.0], 10.0, 20.0);
        assert_eq!(alone.at(3.0), 15.0);
    }
}
