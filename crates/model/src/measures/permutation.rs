//! Random orders: what a measure says of facets that have nothing to do with what they are compared with.

use crate::philox::{Purpose, Stream, index_below};

/// A random order of `0..length`, a pure function of the seed and of its `number` (Fisher and Yates).
pub fn permutation(length: usize, seed: u64, number: u32) -> Vec<usize> {
    let mut words = vec![0; length];
    Stream::new(seed, Purpose::Permutation).fill(0, [number, 0, 0], &mut words);
    let mut order: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        order.swap(last, index_below(words[last], last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_everything_once_and_comes_as_often_as_any_other() {
        let mut counts = std::collections::BTreeMap::new();
        for number in 0..6000 {
            *counts.entry(permutation(3, 1, number)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (900..1100).contains(count)), "{counts:?}");
        let mut long = permutation(1000, 1, 0);
        assert_ne!(long, permutation(1000, 2, 0));
        long.sort_unstable();
        assert!(long.into_iter().eq(0..1000));
    }
}
