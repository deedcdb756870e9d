//! The global vocabulary of items.

use std::collections::HashMap;

use crate::people::Pair;
use crate::scan::NO_ITEM;

/// Items that training users interacted with: the most popular first, then by id.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Index of each item code, or [`NO_ITEM`].
    index: Vec<u32>,
    /// Ids, by index.
    pub(crate) ids: Vec<Box<str>>,
    /// Training users of each item, by index.
    pub(crate) counts: Vec<u64>,
}

impl Vocabulary {
    /// Orders the items that have training users. `ids` and `counts` are by item code.
    pub(crate) fn of(ids: &[Box<str>], counts: &[u64]) -> Self {
        let mut ordered: Vec<(u32, &Box<str>, u64)> = (0..)
            .zip(ids)
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(|((code, id), count)| (code, id, *count))
            .collect();
        ordered.sort_unstable_by(|left, right| right.2.cmp(&left.2).then_with(|| left.1.cmp(right.1)));
        let mut index = vec![NO_ITEM; ids.len()];
        for (position, (code, ..)) in (0..).zip(&ordered) {
            index[*code as usize] = position;
        }
        Vocabulary {
            index,
            ids: ordered.iter().map(|(_, id, _)| (*id).clone()).collect(),
            counts: ordered.iter().map(|(.., count)| *count).collect(),
        }
    }

    /// Index of the item with `code`, `None` where training doesn't know it.
    pub(crate) fn index(&self, code: u32) -> Option<u32> {
        self.index.get(code as usize).copied().filter(|index| *index != NO_ITEM)
    }
}

/// Items that are described and that nobody trains with.
#[derive(Debug)]
pub(crate) struct ColdItems {
    /// Index of each item code, or [`NO_ITEM`].
    index: Vec<u32>,
}

impl ColdItems {
    /// Numbers the items `described`, of which some have codes: their places in `ids`.
    pub(crate) fn of_ids(described: &[String], ids: &[Box<str>]) -> Self {
        let place: HashMap<&str, u32> = described.iter().map(String::as_str).zip(0..).collect();
        ColdItems { index: ids.iter().map(|id| place.get(&**id).copied().unwrap_or(NO_ITEM)).collect() }
    }

    /// Those of `pairs`, ascending, each once.
    pub(crate) fn of<'a>(&self, pairs: impl Iterator<Item = &'a Pair>) -> Vec<u32> {
        let index = |pair: &Pair| self.index.get(pair.item as usize).copied().filter(|index| *index != NO_ITEM);
        let mut found: Vec<u32> = pairs.filter_map(index).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Part;

    #[test]
    fn cold_items_are_those_that_are_described_each_once() {
        let ids: Vec<Box<str>> = ["known", "b", "nowhere described", "a"].map(Box::from).into();
        let cold = ColdItems::of_ids(&["a".to_owned(), "b".to_owned(), "never seen".to_owned()], &ids);
        let pairs = [3, 0, 1, 2, 3].map(|item| Pair { part: Part::Train, item, time: 0, weight: 1.0 });
        assert_eq!(cold.of(pairs.iter()), [0, 1]);
    }
}
