//! What a user gets of whom nothing is known.

use teasel_model::Recommendation;

/// Items by how many training users they have.
pub(super) struct Popular {
    ranked: Vec<(u32, u64)>,
    most: u64,
}

impl Popular {
    /// Items that people have, by how many; those of `allowed` only where it is given. Of equally many users the smaller item
    /// comes first.
    pub(super) fn new(counts: &[u64], allowed: Option<&[i64]>) -> Self {
        let mut ranked: Vec<(u32, u64)> = match allowed {
            Some(allowed) => {
                let own = |item: &i64| Some((*item as u32, *counts.get(*item as usize)?));
                allowed.iter().filter_map(own).collect()
            }
            None => (0..).zip(counts.iter().copied()).collect(),
        };
        ranked.sort_by_key(|(item, count)| (std::cmp::Reverse(*count), *item));
        let most = ranked.first().map_or(1, |(_, count)| (*count).max(1));
        Popular { ranked, most }
    }

    /// The most popular items but `seen` (ascending). Their scores are shares of the most popular one's users.
    pub(super) fn recommend(&self, seen: &[u32], top_k: usize) -> Vec<Recommendation> {
        self.ranked
            .iter()
            .filter(|(item, _)| seen.binary_search(item).is_err())
            .take(top_k)
            .map(|(item, count)| Recommendation { item: *item, score: *count as f32 / self.most as f32, facet: 0 })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(list: &[Recommendation]) -> Vec<u32> {
        list.iter().map(|recommendation| recommendation.item).collect()
    }

    #[test]
    fn popular_items_come_first_and_only_allowed_ones() {
        let counts = [3, 9, 9, 0];
        assert_eq!(items(&Popular::new(&counts, None).recommend(&[], 3)), [1, 2, 0]);
        assert_eq!(items(&Popular::new(&counts, None).recommend(&[1], 9)), [2, 0, 3]);
        assert_eq!(items(&Popular::new(&counts, Some(&[0, 3, 4])).recommend(&[], 9)), [0, 3], "there is no item 4");
    }
}
