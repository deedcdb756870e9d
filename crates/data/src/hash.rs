//! Stable hashes: of users, of items, and counters derived from them.
//!
//! They decide who is held out and what is hidden, and they key a model's noise, so they may never change: neither
//! with a release nor with the platform.

use sha2::{Digest, Sha256};

/// Stable key of a user: the same person of the same tenant has it in every dataset.
pub fn user_key(tenant: Option<&str>, user: &str) -> u64 {
    let mut hasher = Sha256::new();
    let tenant = tenant.unwrap_or_default();
    hasher.update((tenant.len() as u64).to_le_bytes());
    hasher.update(tenant.as_bytes());
    hasher.update(user.as_bytes());
    first_word(&hasher.finalize())
}

/// Stable key of an item.
pub(crate) fn item_key(item: &str) -> u64 {
    first_word(&Sha256::digest(item.as_bytes()))
}

fn first_word(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// A hash of `words`, in order (SplitMix64's finaliser, chained).
pub(crate) fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x6a09_e667_f3bc_c908, |state, word| scramble(state ^ scramble(*word)))
}

/// A number in [0, 1) from `hash`.
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

fn scramble(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_change() {
        assert_eq!(user_key(None, "42"), user_key(Some(""), "42"));
        assert_ne!(user_key(Some("a"), "b"), user_key(None, "ab"));
        assert_eq!(item_key(""), 0xe3b0_c442_98fc_1c14);
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
    }
}
