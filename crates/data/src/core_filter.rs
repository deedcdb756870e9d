//! The k-core filter: users and items with too few interactions leave until none is left to leave.

use teasel_api::resolved::MinimumInteractions;

use crate::DataError;
use crate::people::{Pair, People};
use crate::places::Part;

/// Who and what is left.
#[derive(Debug)]
pub(crate) struct Core {
    /// One bit per person.
    users: Vec<u64>,
    /// One per item code.
    items: Vec<bool>,
    /// Persons with training interactions that left.
    pub(crate) users_removed: u64,
    /// Items that left.
    pub(crate) items_removed: u64,
    /// Persons that are left.
    pub(crate) users_kept: u64,
    /// Items that are left.
    pub(crate) items_kept: u64,
    /// Pairs that left with a user or an item.
    pub(crate) pairs_removed: u64,
    /// Pairs that are left.
    pub(crate) pairs_kept: u64,
    /// Passes over the data.
    pub(crate) rounds: u32,
}

impl Core {
    /// Filters the training pairs of `people`, over `items` item codes. The result doesn't depend on the order in
    /// which users and items leave: the largest set that satisfies both minimums is unique.
    pub(crate) fn of(people: &People, items: usize, minimum: MinimumInteractions) -> Result<Core, DataError> {
        let least_user = u64::from(minimum.user.max(1));
        let least_item = u64::from(minimum.item.max(1));
        let mut core = Core {
            users: vec![0; usize::try_from(people.persons.div_ceil(64)).map_err(DataError::scratch)?],
            items: vec![true; items],
            users_removed: 0,
            items_removed: 0,
            users_kept: 0,
            items_kept: 0,
            pairs_removed: 0,
            pairs_kept: 0,
            rounds: 0,
        };
        let mut item_counts = vec![0u64; items];
        let mut all_pairs = 0u64;
        people.for_each(|number, person| {
            let mut any = false;
            for pair in training(&person.pairs) {
                item_counts[pair.item as usize] += 1;
                all_pairs += 1;
                any = true;
            }
            if any {
                core.users[(number / 64) as usize] |= 1 << (number % 64);
                core.users_kept += 1;
            }
            Ok(())
        })?;
        // An item of held-out or dropped rows only has no training pairs and is none of this filter's.
        core.items.iter_mut().zip(&item_counts).for_each(|(kept, count)| *kept = *count > 0);
        core.items_kept = core.items.iter().filter(|kept| **kept).count() as u64;
        loop {
            core.rounds += 1;
            let mut changed = false;
            people.for_each(|number, person| {
                if !core.keeps_user(number) {
                    return Ok(());
                }
                let left = |pair: &&Pair| core.items[pair.item as usize];
                if (training(&person.pairs).filter(left).count() as u64) < least_user {
                    for pair in training(&person.pairs).filter(left) {
                        item_counts[pair.item as usize] -= 1;
                    }
                    core.users[(number / 64) as usize] &= !(1 << (number % 64));
                    core.users_removed += 1;
                    core.users_kept -= 1;
                }
                Ok(())
            })?;
            for (kept, count) in core.items.iter_mut().zip(&item_counts) {
                if *kept && *count < least_item {
                    *kept = false;
                    changed = true;
                    core.items_removed += 1;
                    core.items_kept -= 1;
                }
            }
            if !changed {
                break;
            }
        }
        core.pairs_kept =
            core.items.iter().zip(&item_counts).filter(|(kept, _)| **kept).map(|(_, count)| count).sum();
        core.pairs_removed = all_pairs - core.pairs_kept;
        Ok(core)
    }

    /// Whether the person of this number trains.
    pub(crate) fn keeps_user(&self, number: u64) -> bool {
        self.users.get((number / 64) as usize).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether the item of this code is left.
    pub(crate) fn keeps_item(&self, item: u32) -> bool {
        self.items.get(item as usize).copied().unwrap_or(false)
    }
}

fn training(pairs: &[Pair]) -> impl Iterator<Item = &Pair> {
    pairs.iter().filter(|pair| pair.part == Part::Train)
}
