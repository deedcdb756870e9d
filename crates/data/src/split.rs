//! Who trains, who is held out, and what is hidden of them: pure functions.

use teasel_api::resolved::Split;

use crate::hash::{mix, unit};
use crate::people::Pair;
use crate::places::Part;

/// Distinguishes the draws of one seed.
const ROLE: u64 = 1;
const HIDING: u64 = 2;
const COLD_ITEMS: u64 = 3;

/// What a person's pairs are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Roles {
    pub(crate) train: Vec<Pair>,
    pub(crate) validation: Option<HeldOutPairs>,
    pub(crate) test: Option<HeldOutPairs>,
}

/// What the model sees of a held-out person, and what it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeldOutPairs {
    pub(crate) fold_in: Vec<Pair>,
    pub(crate) held_out: Vec<Pair>,
}

/// A person's role where whole users are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Train,
    Validation,
    Test,
}

/// Decides from the user's key alone, so that the role is stable over retrains. The test users of a seed stay when the
/// share for validation changes.
fn role(key: u64, seed: u64, validation: f64, test: f64) -> Role {
    let draw = unit(mix(&[seed, ROLE, key]));
    if draw < test {
        Role::Test
    } else if draw < test + validation {
        Role::Validation
    } else {
        Role::Train
    }
}

/// Splits the pairs of the person with `key`. `known` says whether training knows an item, and `item_key` gives its
/// stable key. What goes to training depends on neither.
pub(crate) fn split(
    split: &Split,
    key: u64,
    pairs: Vec<Pair>,
    known: impl Fn(u32) -> bool,
    item_key: impl Fn(u32) -> u64,
) -> Roles {
    match split {
        Split::StrongGeneralization { seed, validation, test, held_out, cold_items } => {
            match role(key, *seed, *validation, *test) {
                Role::Train => {
                    let mut pairs = pairs;
                    pairs.retain(|pair| !is_cold(*seed, *cold_items, item_key(pair.item)));
                    Roles { train: pairs, ..Roles::default() }
                }
                Role::Validation => {
                    Roles { validation: hide(*seed, key, pairs, *held_out, known, item_key), ..Roles::default() }
                }
                Role::Test => {
                    Roles { test: hide(*seed, key, pairs, *held_out, known, item_key), ..Roles::default() }
                }
            }
        }
        Split::LeaveLastOut => leave_last_out(pairs, known, item_key),
        Split::Provided { .. } => provided(&pairs, known),
    }
}

/// Whether nobody trains with an item.
fn is_cold(seed: u64, share: f64, item_key: u64) -> bool {
    unit(mix(&[seed, COLD_ITEMS, item_key])) < share
}

/// Hides the items of the smallest hashes among the known ones: as many as `share` says, at least one, not all.
fn hide(
    seed: u64,
    key: u64,
    mut pairs: Vec<Pair>,
    share: f64,
    known: impl Fn(u32) -> bool,
    item_key: impl Fn(u32) -> u64,
) -> Option<HeldOutPairs> {
    pairs.retain(|pair| known(pair.item));
    if pairs.len() < 2 {
        return None;
    }
    // 0.29 x 100 is a little less than 29.
    let hidden = ((share * pairs.len() as f64 + 1e-9) as usize).clamp(1, pairs.len() - 1);
    pairs.sort_by_cached_key(|pair| (mix(&[seed, HIDING, key, item_key(pair.item)]), item_key(pair.item)));
    let fold_in = pairs.split_off(hidden);
    Some(HeldOutPairs { fold_in, held_out: pairs })
}

/// The newest pair is for test, the one before for validation; a person needs three.
fn leave_last_out(mut pairs: Vec<Pair>, known: impl Fn(u32) -> bool, item_key: impl Fn(u32) -> u64) -> Roles {
    if pairs.len() < 3 {
        return Roles { train: pairs, ..Roles::default() };
    }
    pairs.sort_by_cached_key(|pair| (pair.time, item_key(pair.item)));
    let last = pairs.split_off(pairs.len() - 2);
    let (before, newest) = (last[0], last[1]);
    let seen: Vec<Pair> = pairs.iter().filter(|pair| known(pair.item)).copied().collect();
    let mut seen_before = seen.clone();
    seen_before.extend(Some(before).filter(|pair| known(pair.item)));
    let held_out = |fold_in: Vec<Pair>, pair: Pair| {
        (known(pair.item) && !fold_in.is_empty()).then(|| HeldOutPairs { fold_in, held_out: vec![pair] })
    };
    Roles { validation: held_out(seen, before), test: held_out(seen_before, newest), train: pairs }
}

fn provided(pairs: &[Pair], known: impl Fn(u32) -> bool) -> Roles {
    let of = |part: Part| -> Vec<Pair> { pairs.iter().filter(|pair| pair.part == part).copied().collect() };
    let train = of(Part::Train);
    let set = |fold_in: Part, held_out: Part| {
        let mut fold_in = of(fold_in);
        if fold_in.is_empty() {
            // Held-out items of people who train: what they trained with is what the model sees.
            fold_in.clone_from(&train);
        }
        fold_in.retain(|pair| known(pair.item));
        let mut held_out = of(held_out);
        held_out.retain(|pair| known(pair.item) && !fold_in.iter().any(|seen| seen.item == pair.item));
        (!fold_in.is_empty() && !held_out.is_empty()).then_some(HeldOutPairs { fold_in, held_out })
    };
    Roles {
        validation: set(Part::ValidationFoldIn, Part::ValidationHeldOut),
        test: set(Part::TestFoldIn, Part::TestHeldOut),
        train,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(items: u32) -> Vec<Pair> {
        (0..items).map(|item| Pair { part: Part::Train, item, time: i64::from(item % 7), weight: 1.0 }).collect()
    }

    #[test]
    fn the_last_by_time_is_for_test_and_the_one_before_for_validation() {
        let roles = split(&Split::LeaveLastOut, 1, pairs(5), |_| true, u64::from);
        assert_eq!(roles.train, pairs(3));
        assert_eq!(roles.validation.unwrap().held_out, pairs(5)[3..4]);
        assert_eq!(roles.test.unwrap(), HeldOutPairs { fold_in: pairs(4), held_out: pairs(5)[4..].to_vec() });
        let short = split(&Split::LeaveLastOut, 1, pairs(2), |_| true, u64::from);
        assert_eq!(short, Roles { train: pairs(2), ..Roles::default() });
    }

    #[test]
    fn shares_of_users_and_stability_hold() {
        let count = |validation: f64, wanted: Role| {
            (0..20_000u64).filter(|key| role(mix(&[*key]), 1, validation, 0.1) == wanted).collect::<Vec<_>>()
        };
        let test = count(0.1, Role::Test);
        assert!((1_850..2_150).contains(&test.len()), "{}", test.len());
        assert!((1_850..2_150).contains(&count(0.1, Role::Validation).len()));
        assert_eq!(test, count(0.3, Role::Test));
    }

    proptest! {
        #[test]
        fn hiding_keeps_every_known_pair_once(items in 0u32..60, share in 0.01f64..0.99, seed: u64, key: u64) {
            let known = |item: u32| !item.is_multiple_of(3);
            let expected: Vec<Pair> = pairs(items).into_iter().filter(|pair| known(pair.item)).collect();
            match hide(seed, key, pairs(items), share, known, u64::from) {
                None => prop_assert!(expected.len() < 2),
                Some(HeldOutPairs { fold_in, held_out }) => {
                    let wanted = ((share * expected.len() as f64 + 1e-9) as usize).clamp(1, expected.len() - 1);
                    prop_assert_eq!(held_out.len(), wanted);
                    let mut all: Vec<Pair> = fold_in.into_iter().chain(held_out).collect();
                    all.sort_by_key(|pair| pair.item);
                    prop_assert_eq!(all, expected);
                }
            }
        }
    }
}
