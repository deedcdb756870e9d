//! What a model is like beyond how well it ranks: whether its facets keep the three conditions, whether they agree with
//! categories, and what its lists do to people and to the catalogue.
//!
//! Each is computed from plain shares and lists, and is `None` where it isn't defined: no measure calls a model good that
//! has nothing to measure.

mod agreement;
mod calibration;
mod completeness;
mod consistency;
mod exposure;
mod independence;
mod lasso;
mod permutation;
mod shares;

pub use agreement::{Agreement, agreement};
pub use calibration::Calibration;
pub use completeness::{Completeness, completeness};
pub use consistency::{Consistency, consistency};
pub use exposure::{Exposure, ExposureMeasures};
pub use independence::{Independence, MOST_DIMENSIONS, independence};
pub use permutation::permutation;
pub use shares::Shares;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::batch::BatchInput;

    const ITEMS: usize = 300;
    const PEOPLE: usize = 200;
    const LENGTH: usize = 20;

    /// Frozen clusters that are the categories, of people who care for none of them: what such a model wins is agreement,
    /// and only what it wins deservedly.
    #[test]
    fn frozen_clusters_that_nobody_cares_for_agree_with_categories_and_tell_nothing_of_people() {
        let clusters = |shift: usize| {
            let mut values = vec![0.0; ITEMS * 3];
            (0..ITEMS).for_each(|item| values[item * 3 + (item + shift) % 3] = 1.0);
            Shares::new(3, values).unwrap()
        };
        let facets = clusters(0);
        let categories: Vec<Option<u32>> = (0..ITEMS).map(|item| Some((item % 3) as u32)).collect();
        let found = agreement(&facets, &categories, 100, 1).unwrap();
        assert!(found.adjusted_mutual_information > 0.99, "{found:?}");

        let histories = |seed| {
            let of = |person| permutation(ITEMS, seed, person as u32).into_iter().take(LENGTH);
            let items: Vec<i64> = (0..PEOPLE).flat_map(of).map(|item| item as i64).collect();
            let offsets: Vec<i64> = (0..=PEOPLE).map(|person| (person * LENGTH) as i64).collect();
            let keys = vec![0; PEOPLE];
            let batch = BatchInput { offsets: &offsets, items: &items, weights: None, user_keys: &keys };
            facets.of_people(&batch, Some).unwrap().0
        };
        let found = consistency(&histories(1), &histories(2)).unwrap().unwrap();
        assert!((found.ratio - 1.0).abs() < 0.2 && (found.identification - 0.5).abs() < 0.1, "{found:?}");
        // Where they aren't the categories either, nothing is told of these.
        let found = completeness(&histories(1), &histories(3), 1).unwrap().unwrap();
        assert!(found.r2 < 0.05 && found.chance_r2 < 0.05, "{found:?}");
    }
}
