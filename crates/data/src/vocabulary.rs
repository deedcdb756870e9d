//! The global vocabulary of items.

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
