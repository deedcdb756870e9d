//! Which users make a batch: a pure function of seed, epoch and step.
//!
//! Users lie in [`VIRTUAL_SHARDS`] shards by their key. Every shard's users are spread evenly over the epoch, each
//! shard from its own random beginning: user `j` of a shard of `n` has the position `(j + phase) / n`. The batch of a
//! step is the next `batch_size` positions over all shards. So each batch has a fixed quota of each shard, a rank that
//! owns whole shards knows its part without asking, and the number of ranks never shows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::hash::{mix, unit};

/// Number of virtual shards: divisible by every number of ranks up to 8, and by many more.
pub const VIRTUAL_SHARDS: u32 = 840;

/// Distinguishes the draws of one seed.
const PHASE: u64 = 3;
const ORDER: u64 = 4;

/// The virtual shard of the user with `key`.
pub(crate) fn shard_of(key: u64) -> u32 {
    (key % u64::from(VIRTUAL_SHARDS)) as u32
}

/// The virtual shards of rank `rank` of `world`; none where there are more ranks than shards. `world` of 0 counts as 1.
pub fn shards_of(rank: u32, world: u32) -> Range<u32> {
    let bound = |rank: u32| {
        (u64::from(rank) * u64::from(VIRTUAL_SHARDS) / u64::from(world.max(1))).min(u64::from(VIRTUAL_SHARDS))
            as u32
    };
    bound(rank)..bound(rank.saturating_add(1))
}

/// The batches of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    /// Users of each virtual shard.
    shard_users: Vec<u64>,
    batch_size: u32,
    seed: u64,
}

impl BatchPlan {
    /// A plan over shards of `shard_users` users each, in batches of `batch_size` (0 counts as 1) over all ranks.
    pub(crate) fn new(shard_users: Vec<u64>, batch_size: u32, seed: u64) -> Self {
        BatchPlan { shard_users, batch_size: batch_size.max(1), seed }
    }

    /// Users of an epoch.
    pub fn users(&self) -> u64 {
        self.shard_users.iter().sum()
    }

    /// Steps of an epoch. The last batch may be smaller.
    pub fn steps_per_epoch(&self) -> u64 {
        self.users().div_ceil(u64::from(self.batch_size))
    }

    /// Users of batch `step` of an epoch, over all ranks.
    pub fn batch_users(&self, step: u64) -> u32 {
        let before = step.saturating_mul(u64::from(self.batch_size));
        self.users().saturating_sub(before).min(u64::from(self.batch_size)) as u32
    }

    /// Rank of a user in the order of its shard in `epoch`.
    pub(crate) fn order_key(&self, epoch: u64, key: u64) -> (u64, u64) {
        (mix(&[self.seed, ORDER, epoch, key]), key)
    }

    /// The shards of an epoch's users, in order.
    pub(crate) fn shards(&self, epoch: u64) -> ShardOrder {
        let phases: Vec<f64> =
            (0..self.shard_users.len() as u64).map(|shard| unit(mix(&[self.seed, PHASE, epoch, shard]))).collect();
        let mut order = ShardOrder { next: BinaryHeap::new(), phases, shard_users: self.shard_users.clone() };
        for shard in 0..self.shard_users.len() {
            order.push(shard, 0);
        }
        order
    }
}

/// Yields the shard of one user after the other; the n-th time that a shard comes means its n-th user.
pub(crate) struct ShardOrder {
    /// Next user of each shard, by position. The bits of positive floats compare like the floats.
    next: BinaryHeap<Reverse<(u64, usize, u64)>>,
    phases: Vec<f64>,
    shard_users: Vec<u64>,
}

impl ShardOrder {
    fn push(&mut self, shard: usize, user: u64) {
        if let (Some(users), Some(phase)) = (self.shard_users.get(shard), self.phases.get(shard))
            && user < *users
        {
            let position = (user as f64 + phase) / *users as f64;
            self.next.push(Reverse((position.to_bits(), shard, user)));
        }
    }
}

impl Iterator for ShardOrder {
    /// A shard and the number of its user.
    type Item = (u32, u64);

    fn next(&mut self) -> Option<(u32, u64)> {
        let Reverse((_, shard, user)) = self.next.pop()?;
        self.push(shard, user + 1);
        Some((shard as u32, user))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_take_every_shard_once(world in 1u32..2_000) {
            let taken: Vec<u32> = (0..world).flat_map(|rank| shards_of(rank, world)).collect();
            prop_assert_eq!(taken, (0..VIRTUAL_SHARDS).collect::<Vec<_>>());
        }

        #[test]
        fn every_user_comes_once_and_shards_are_spread(
            shard_users in proptest::collection::vec(0u64..40, 1..30), batch in 1u32..50, seed: u64, epoch in 0u64..9,
        ) {
            let plan = BatchPlan::new(shard_users.clone(), batch, seed);
            let order: Vec<(u32, u64)> = plan.shards(epoch).collect();
            prop_assert_eq!(order.len() as u64, plan.users());
            let sizes: u64 = (0..plan.steps_per_epoch()).map(|step| u64::from(plan.batch_users(step))).sum();
            prop_assert_eq!(sizes, plan.users());
            prop_assert_eq!(plan.batch_users(plan.steps_per_epoch()), 0);
            for (shard, users) in shard_users.iter().enumerate() {
                let own: Vec<u64> =
                    order.iter().filter(|(other, _)| *other as usize == shard).map(|(_, user)| *user).collect();
                prop_assert_eq!(own, (0..*users).collect::<Vec<_>>());
                // In any prefix a shard has its share, give or take one and what the other shards' phases do.
                let half = order[..order.len() / 2].iter().filter(|(other, _)| *other as usize == shard).count() as f64;
                let share = *users as f64 / 2.0;
                prop_assert!((half - share).abs() <= 2.0 + share * 2.0 * shard_users.len() as f64 / plan.users().max(1) as f64);
            }
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let order = |seed, epoch| BatchPlan::new(vec![5; 20], 4, seed).shards(epoch).collect::<Vec<_>>();
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
    }
}
