//! A rank's users, and its part of every batch.

use std::ops::Range;

use crate::Csr;
use crate::plan::{BatchPlan, ShardOrder, shard_of};

/// The training users of some virtual shards.
#[derive(Clone, Debug)]
pub struct TrainingUsers {
    /// Stable key of each user.
    pub keys: Vec<u64>,
    /// What each user interacted with.
    pub interactions: Csr,
    shards: Range<u32>,
}

/// A rank's part of a batch. Laid out as libtorch wants it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Step in the epoch, from 0.
    pub step: u64,
    /// Users of the batch over all ranks.
    pub global_users: u32,
    /// One more than there are users here; begins with 0.
    pub offsets: Vec<i64>,
    /// Items of one user after the other, ascending within a user.
    pub items: Vec<i64>,
    /// One per item; `None` where all are 1.
    pub weights: Option<Vec<f32>>,
    /// Stable key of each user.
    pub keys: Vec<u64>,
}

impl TrainingUsers {
    pub(crate) fn new(keys: Vec<u64>, interactions: Csr, shards: Range<u32>) -> Self {
        TrainingUsers { keys, interactions, shards }
    }

    /// Number of users here.
    pub fn users(&self) -> usize {
        self.keys.len()
    }

    /// This rank's parts of the batches of `epoch`, from `first_step` on. Every step comes, with no users too.
    pub fn epoch<'a>(&'a self, plan: &'a BatchPlan, epoch: u64, first_step: u64) -> Batches<'a> {
        let mut ordered = vec![Vec::new(); self.shards.len()];
        for (user, key) in self.keys.iter().enumerate() {
            // Users of other shards aren't here.
            if let Some(shard) = ordered.get_mut(shard_of(*key).wrapping_sub(self.shards.start) as usize) {
                shard.push(user);
            }
        }
        for shard in &mut ordered {
            shard.sort_by_cached_key(|user| {
                plan.order_key(epoch, self.keys.get(*user).copied().unwrap_or_default())
            });
        }
        let mut order = plan.shards(epoch);
        for step in 0..first_step {
            order.by_ref().take(plan.batch_users(step) as usize).for_each(drop);
        }
        Batches { users: self, plan, ordered, order, step: first_step }
    }
}

/// See [`TrainingUsers::epoch`].
pub struct Batches<'a> {
    users: &'a TrainingUsers,
    plan: &'a BatchPlan,
    /// Users of each own shard, in the epoch's order.
    ordered: Vec<Vec<usize>>,
    order: ShardOrder,
    step: u64,
}

impl Batches<'_> {
    /// Fills `batch` with the next part, reusing its memory. False at the end of the epoch.
    pub fn next_into(&mut self, batch: &mut Batch) -> bool {
        if self.step >= self.plan.steps_per_epoch() {
            return false;
        }
        batch.step = self.step;
        batch.global_users = self.plan.batch_users(self.step);
        batch.offsets.clear();
        batch.offsets.push(0);
        batch.items.clear();
        batch.keys.clear();
        let mut weights = batch.weights.take().unwrap_or_default();
        weights.clear();
        for (shard, position) in self.order.by_ref().take(batch.global_users as usize) {
            let own = self.ordered.get(shard.wrapping_sub(self.users.shards.start) as usize);
            let Some(user) = own.and_then(|users| users.get(position as usize)) else { continue };
            batch.items.extend(self.users.interactions.row(*user).iter().map(|item| i64::from(*item)));
            weights.extend_from_slice(self.users.interactions.row_weights(*user).unwrap_or_default());
            batch.offsets.push(batch.items.len() as i64);
            batch.keys.extend(self.users.keys.get(*user));
        }
        batch.weights = self.users.interactions.weights.is_some().then_some(weights);
        self.step += 1;
        true
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        self.next_into(&mut batch).then_some(batch)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::mix;
    use crate::plan::{VIRTUAL_SHARDS, shards_of};

    fn users(count: u64, shards: Range<u32>) -> TrainingUsers {
        let mut interactions = Csr::empty(true);
        let mut keys = Vec::new();
        for key in (0..count).map(|user| mix(&[user])).filter(|key| shards.contains(&shard_of(*key))) {
            interactions.push(&[(key % 100) as u32, 100 + (key % 7) as u32], Some(&[1.0, (key % 5) as f32]));
            keys.push(key);
        }
        TrainingUsers::new(keys, interactions, shards)
    }

    fn plan(count: u64, batch: u32) -> BatchPlan {
        let mut shard_users = vec![0; VIRTUAL_SHARDS as usize];
        for user in 0..count {
            shard_users[shard_of(mix(&[user])) as usize] += 1;
        }
        BatchPlan::new(shard_users, batch, 7)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn any_number_of_ranks_makes_the_same_batches(
            count in 1u64..400, batch in 1u32..150, world in 1u32..20, wide: bool, epoch in 0u64..3,
        ) {
            let world = if wide { 1_000 + world } else { world };
            let plan = plan(count, batch);
            let everyone = users(count, 0..VIRTUAL_SHARDS);
            let whole: Vec<Batch> = everyone.epoch(&plan, epoch, 0).collect();
            let mut keys: Vec<u64> = whole.iter().flat_map(|batch| batch.keys.clone()).collect();
            prop_assert!(whole.iter().all(|batch| batch.keys.len() == batch.global_users as usize));
            keys.sort_unstable();
            let mut expected = everyone.keys.clone();
            expected.sort_unstable();
            prop_assert_eq!(keys, expected);

            let mut parts: Vec<Vec<u64>> = vec![Vec::new(); whole.len()];
            for rank in 0..world {
                let own = users(count, shards_of(rank, world));
                let mut steps = 0;
                for part in own.epoch(&plan, epoch, 0) {
                    prop_assert_eq!(part.global_users, whole[part.step as usize].global_users);
                    prop_assert_eq!(part.offsets.len(), part.keys.len() + 1);
                    parts[part.step as usize].extend(&part.keys);
                    steps += 1;
                }
                prop_assert_eq!(steps, whole.len());
            }
            for (part, batch) in parts.iter_mut().zip(&whole) {
                let mut keys = batch.keys.clone();
                keys.sort_unstable();
                part.sort_unstable();
                prop_assert_eq!(&*part, &keys);
            }
        }

        #[test]
        fn a_resumed_epoch_goes_on_where_it_stopped(count in 1u64..300, batch in 1u32..50, skipped in 0u64..40) {
            let plan = plan(count, batch);
            let everyone = users(count, 0..VIRTUAL_SHARDS);
            let whole: Vec<Batch> = everyone.epoch(&plan, 2, 0).skip(skipped as usize).collect();
            let resumed: Vec<Batch> = everyone.epoch(&plan, 2, skipped).collect();
            prop_assert_eq!(whole, resumed);
        }
    }
}
