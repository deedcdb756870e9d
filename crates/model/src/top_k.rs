//! The best few of a stream of scored items.

use std::cmp::Ordering;

/// Keeps the `k` best of the scores it is shown, in memory that doesn't depend on how many those are. Ties go to the
/// smaller item.
#[derive(Debug)]
pub(crate) struct TopK {
    k: usize,
    /// Up to `2 k` candidates: cutting back only when full costs a constant per score kept.
    candidates: Vec<(f32, u32)>,
    /// Score that a later item must exceed; scores that are not above negative infinity never enter.
    threshold: f32,
}

impl TopK {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, candidates: Vec::new(), threshold: if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY } }
    }

    /// Shows the scores of the items `first..`. Items must come in ascending order over all calls.
    pub(crate) fn extend(&mut self, first: u32, scores: &[f32]) {
        for (item, &score) in (first..).zip(scores) {
            if score > self.threshold {
                self.candidates.push((score, item));
                if self.candidates.len() >= 2 * self.k {
                    self.cut_back();
                }
            }
        }
    }

    fn cut_back(&mut self) {
        if self.candidates.len() <= self.k {
            return;
        }
        let (_, last, _) = self.candidates.select_nth_unstable_by(self.k - 1, better_first);
        self.threshold = last.0;
        self.candidates.truncate(self.k);
    }

    /// The items kept with their scores, best first.
    pub(crate) fn into_sorted(mut self) -> Vec<(f32, u32)> {
        self.cut_back();
        self.candidates.sort_unstable_by(better_first);
        self.candidates
    }
}

fn better_first(left: &(f32, u32), right: &(f32, u32)) -> Ordering {
    right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_equals_the_head_of_a_full_sort(
            scores in prop::collection::vec((0_u8..20).prop_map(f32::from), 0..200),
            k in 0_usize..30,
            block in 1_usize..50,
        ) {
            let mut top = TopK::new(k);
            for (index, part) in scores.chunks(block).enumerate() {
                top.extend((index * block) as u32, part);
            }
            let mut all: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
            all.sort_by(|left, right| right.0.partial_cmp(&left.0).unwrap().then(left.1.cmp(&right.1)));
            all.truncate(k);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }

    #[test]
    fn masked_and_undefined_scores_never_enter() {
        let mut top = TopK::new(3);
        top.extend(0, &[f32::NEG_INFINITY, f32::NAN, 1.0]);
        assert_eq!(top.into_sorted(), [(1.0, 2)]);
    }
}
