//! Whether lists have a person's categories in the proportions of their history (Steck, "Calibrated Recommendations",
//! 2018).

use super::shares::Shares;

/// How much of the history's shares is mixed into the list's, so that a category which is missing there costs much and
/// not infinitely much.
const SMOOTHING: f64 = 0.01;

/// Compares lists with histories by the categories of their items.
#[derive(Clone, Debug)]
pub struct Calibration<'a> {
    shares: &'a Shares,
    rows: &'a [Option<usize>],
    sum: f64,
    people: usize,
}

impl<'a> Calibration<'a> {
    /// By the items' shares of categories, and which row is an item's, as [`Shares::of_categories`] gives both.
    pub fn new(shares: &'a Shares, rows: &'a [Option<usize>]) -> Self {
        Self { shares, rows, sum: 0.0, people: 0 }
    }

    /// Adds a person. Without an item that has categories, in the list or in the history, it says nothing.
    pub fn add(&mut self, list: &[u32], history: &[u32]) {
        if let (Some(list), Some(history)) = (self.mean(list), self.mean(history)) {
            self.sum += divergence(&history, &list);
            self.people += 1;
        }
    }

    /// Mean Kullback-Leibler divergence in nats of the list's categories from the history's: 0 is best. `None` where nobody
    /// could be compared.
    pub fn divergence(&self) -> Option<f64> {
        (self.people > 0).then(|| self.sum / self.people as f64)
    }

    fn mean(&self, items: &[u32]) -> Option<Vec<f64>> {
        let mut mean = vec![0.0; self.shares.columns()];
        let mut known = 0.0;
        for row in items.iter().filter_map(|item| *self.rows.get(*item as usize)?) {
            mean.iter_mut().zip(self.shares.row(row)).for_each(|(mean, share)| *mean += share);
            known += 1.0;
        }
        mean.iter_mut().for_each(|mean| *mean /= known);
        (known > 0.0).then_some(mean)
    }
}

fn divergence(history: &[f64], list: &[f64]) -> f64 {
    let term = |(history, list): (&f64, &f64)| {
        let smoothed = (1.0 - SMOOTHING) * list + SMOOTHING * history;
        if *history > 0.0 { history * (history / smoothed).ln() } else { 0.0 }
    };
    history.iter().zip(list).map(term).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Items 0 and 1 are of category 0, 2 and 3 of category 1, and 4 has none. The people are lists with histories.
    fn of(people: &[(&[u32], &[u32])]) -> Option<f64> {
        let (shares, rows) = Shares::of_categories(2, &[vec![0], vec![0], vec![1], vec![1], vec![]]).unwrap();
        let mut calibration = Calibration::new(&shares, &rows);
        people.iter().for_each(|(list, history)| calibration.add(list, history));
        calibration.divergence()
    }

    #[test]
    fn the_same_proportions_are_calibrated_and_one_interest_alone_is_not() {
        assert!(of(&[(&[1, 3], &[0, 2])]).unwrap().abs() < 1e-12);
        let expected = 0.5 * (0.5_f64 / 0.995).ln() + 0.5 * (0.5_f64 / 0.005).ln();
        assert!((of(&[(&[1], &[0, 2])]).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn who_cannot_be_compared_says_nothing() {
        assert_eq!(of(&[(&[4], &[0])]), None);
        assert_eq!(of(&[(&[0], &[])]), None);
        assert!(of(&[(&[1], &[0]), (&[4], &[0])]).unwrap().abs() < 1e-12);
    }
}
