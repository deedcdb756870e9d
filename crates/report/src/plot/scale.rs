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

    /// Round values within the scale, about so many.
    pub(super) fn ticks(&self, about: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / about.max(1) as f64;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * magnitude >= rough).unwrap_or(10.0)
            * magnitude;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        // Never more than fit, whatever numbers come.
        (first..=last).take(4 * about.max(1)).map(|number| number as f64 * step).collect()
    }
}

/// A tick's text: as many digits as the ticks are apart, or as it has where it is alone.
pub(super) fn tick_text(value: f64, ticks: &[f64]) -> String {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::min).unwrap_or(value.abs()).max(1e-9);
    let digits = (-step.log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = Scale::over([0.013, 0.44], 0.0, 100.0).ticks(4);
        let texts: Vec<String> = ticks.iter().map(|tick| tick_text(*tick, &ticks)).collect();
        assert_eq!(texts, ["0.2", "0.4"]);
        let ticks = Scale::over([1.0, 93.0], 0.0, 100.0).ticks(4);
        assert_eq!(ticks, [50.0]);
        let ticks = Scale::over([0.0, 0.21], 0.0, 100.0).ticks(5);
        let texts: Vec<String> = ticks.iter().map(|tick| tick_text(*tick, &ticks)).collect();
        assert_eq!(texts, ["0.00", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(Scale::over([0.0, 100.0], 0.0, 100.0).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
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
