//! Random items in people's histories: what a model makes of a history that isn't all theirs.

use std::collections::HashSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use teasel_data::{Csr, HeldOut};

/// The same users, to whose histories random items have been added: so many as the share says, one at least. They are
/// drawn from the items that are in neither part of the user's history, and weigh what its items weigh on average. What is
/// drawn depends on the seed and the user alone.
pub(super) fn with_noise(users: &HeldOut, items: usize, share: f64, seed: u64) -> HeldOut {
    let mut noisy = Csr::empty(users.fold_in.weights.is_some());
    for user in 0..users.users() {
        let (own, asked) = (users.fold_in.row(user), users.held_out.row(user));
        let mut taken: HashSet<u32> = own.iter().chain(asked).copied().collect();
        let wanted = ((own.len() as f64 * share).round() as usize).max(1).min(items.saturating_sub(taken.len()));
        let mut random = ChaCha8Rng::seed_from_u64(users.keys[user] ^ seed.rotate_left(32));
        let weights = users.fold_in.row_weights(user).unwrap_or_default();
        let mean = weights.iter().sum::<f32>() / weights.len().max(1) as f32;
        let known = own.iter().enumerate().map(|(index, item)| (*item, weights.get(index).copied().unwrap_or(1.0)));
        let mut row: Vec<(u32, f32)> = known.collect();
        let whole = row.len() + wanted;
        while row.len() < whole {
            let item = (random.next_u64() % items as u64) as u32;
            if taken.insert(item) {
                row.push((item, mean));
            }
        }
        row.sort_unstable_by_key(|(item, _)| *item);
        let (items, weights): (Vec<u32>, Vec<f32>) = row.into_iter().unzip();
        noisy.push(&items, Some(&weights));
    }
    HeldOut { keys: users.keys.clone(), fold_in: noisy, held_out: users.held_out.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(weights: Option<Vec<f32>>) -> HeldOut {
        HeldOut {
            keys: vec![11, 12],
            fold_in: Csr { offsets: vec![0, 4, 5], items: vec![0, 2, 4, 6, 3], weights },
            held_out: Csr { offsets: vec![0, 1, 2], items: vec![7, 9], weights: None },
        }
    }

    #[test]
    fn noise_is_so_many_new_items_and_the_same_for_the_same_seed() {
        let weighted = users(Some(vec![1.0, 2.0, 3.0, 4.0, 5.0]));
        let noisy = with_noise(&weighted, 20, 0.5, 1);
        assert_eq!((noisy.fold_in.row(0).len(), noisy.fold_in.row(1).len()), (6, 2));
        assert_eq!(noisy.held_out, weighted.held_out);
        for user in 0..2 {
            let row = noisy.fold_in.row(user);
            assert!(row.windows(2).all(|pair| pair[0] < pair[1]), "{row:?}");
            assert!(weighted.fold_in.row(user).iter().all(|item| row.contains(item)));
            assert!(!row.contains(&weighted.held_out.row(user)[0]));
        }
        let weight: f32 = noisy.fold_in.row_weights(0).into_iter().flatten().sum();
        assert!((weight - 15.0).abs() < 1e-6, "two more of the mean weight: {weight}");
        assert_eq!(with_noise(&weighted, 20, 0.5, 1), noisy);
        assert_ne!(with_noise(&weighted, 20, 0.5, 2), noisy);
    }

    #[test]
    fn a_catalogue_without_other_items_has_no_noise() {
        assert_eq!(with_noise(&users(None), 5, 3.0, 1).fold_in.row(1).len(), 4);
        let all = HeldOut {
            keys: vec![1],
            fold_in: Csr { offsets: vec![0, 1], items: vec![0], weights: None },
            held_out: Csr { offsets: vec![0, 1], items: vec![1], weights: None },
        };
        assert_eq!(with_noise(&all, 2, 1.0, 1), all);
    }
}
