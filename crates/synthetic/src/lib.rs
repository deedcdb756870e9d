//! Synthetic interactions with planted facets.
//!
//! Every item belongs to one *facet*, the ground truth that a disentangled model should find again. Every user mixes
//! a few facets, and inside a facet popularity is long-tailed (Zipf). An item's words and categories go with its facet.
//!
//! Everything is counter-based: a user's rows depend only on the options and the user's number, an item only on the
//! options and its own number. So data of any size streams in constant memory, in any order.

mod csv;
mod random;
mod words;

pub use csv::{write_interactions, write_items, write_users};

use random::Random;

/// How much to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of users, at least 1.
    pub users: u64,
    /// Number of items, at least one per facet.
    pub items: u32,
    /// Number of planted facets, at least 1.
    pub facets: u32,
    /// Number of interactions over all users: exactly so many rows are made.
    pub interactions: u64,
    /// Seed of everything.
    pub seed: u64,
    /// Number of tenants, `tenant-1` and on; at least 1.
    pub tenants: u32,
}

/// Options that describe no data.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A number that must be at least 1 is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A facet would have no item.
    #[error("{items} items can't fill {facets} facets")]
    TooFewItems {
        /// Number of items.
        items: u32,
        /// Number of facets.
        facets: u32,
    },
}

/// What is planted about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// A title of two words.
    pub title: String,
    /// A description; most words go with the facet.
    pub text: String,
    /// Categories: the facet's own (nine times of ten) and how popular the item is.
    pub categories: Vec<String>,
    /// The planted facet.
    pub facet: u32,
}

/// A user with all of their interactions.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Their id.
    pub id: String,
    /// The tenant they belong to.
    pub tenant: String,
    /// Share of each facet in what they do; sums to 1.
    pub mixture: Vec<f64>,
    /// What they did, by time.
    pub interactions: Vec<Interaction>,
}

/// A user did something with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Number of the item.
    pub item: u32,
    /// `view`, `click` or `buy`.
    pub event: &'static str,
    /// 1 to 5.
    pub rating: u8,
    /// Seconds since 1970.
    pub timestamp: i64,
}

/// Makes users and items. Memory: one number per item of the largest facet.
#[derive(Clone, Debug)]
pub struct Generator {
    options: Options,
    /// Running sum of the popularity of a facet's items, by rank.
    popularity: Vec<f64>,
}

/// Users whose activity is drawn together, so that the sum over all users is exact.
const ACTIVITY_BLOCK: u64 = 16;
/// How often an item is drawn again because the user already has it.
const REDRAWS: usize = 8;
/// 2023-01-01, in seconds since 1970.
const BEGIN: i64 = 1_672_531_200;
/// The time that interactions span, in seconds.
const SPAN: i64 = 365 * 24 * 3600;

impl Generator {
    /// A generator of what `options` describe.
    ///
    /// # Errors
    /// [`OptionsError`] where they describe no data.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        for (name, value) in [
            ("users", options.users),
            ("items", options.items.into()),
            ("facets", options.facets.into()),
            ("tenants", options.tenants.into()),
        ] {
            if value == 0 {
                return Err(OptionsError::Zero(name));
            }
        }
        if options.items < options.facets {
            return Err(OptionsError::TooFewItems { items: options.items, facets: options.facets });
        }
        let mut sum = 0.0;
        let popularity = (0..options.items.div_ceil(options.facets))
            .map(|rank| {
                sum += (f64::from(rank) + 2.0).powf(-0.9);
                sum
            })
            .collect();
        Ok(Generator { options, popularity })
    }

    /// What is generated.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Id of item `item`.
    pub fn item_id(&self, item: u32) -> String {
        format!("item-{item}")
    }

    /// The planted facet of item `item`.
    pub fn facet(&self, item: u32) -> u32 {
        item % self.options.facets
    }

    /// All items, in order.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        (0..self.options.items).map(|item| self.item(item))
    }

    /// Item number `item`.
    pub fn item(&self, item: u32) -> Item {
        let facet = self.facet(item);
        let mut random = Random::new(&[self.options.seed, 1, u64::from(item)]);
        let shown = if random.unit() < 0.9 { facet } else { random.below(self.options.facets.into()) as u32 };
        let rank = item / self.options.facets;
        let tail = if u64::from(rank) * 10 < self.popularity.len() as u64 { "popular" } else { "niche" };
        Item {
            id: self.item_id(item),
            title: format!("{} {}", words::of_facet(facet, &mut random), words::of_facet(facet, &mut random)),
            text: words::sentence(facet, &mut random),
            categories: vec![words::name(shown), tail.to_owned()],
            facet,
        }
    }

    /// All users, in order.
    pub fn users(&self) -> impl Iterator<Item = User> + '_ {
        (0..self.options.users).map(|user| self.user(user))
    }

    /// User number `user`.
    pub fn user(&self, user: u64) -> User {
        let mut random = Random::new(&[self.options.seed, 2, user]);
        let mixture = self.mixture(&mut random);
        let count = self.activity(user);
        let mut interactions: Vec<Interaction> = Vec::with_capacity(count as usize);
        let mut seen = std::collections::HashSet::with_capacity(count as usize);
        for _ in 0..count {
            let mut item = self.draw(&mixture, &mut random);
            for _ in 0..REDRAWS {
                if !seen.contains(&item) {
                    break;
                }
                item = self.draw(&mixture, &mut random);
            }
            seen.insert(item);
            // People like what is of their own facets.
            let liking = mixture[self.facet(item) as usize];
            let rating = (2.5 + 2.5 * liking + 2.0 * random.unit()).floor().clamp(1.0, 5.0) as u8;
            let event = match random.unit() {
                draw if draw < 0.1 => "buy",
                draw if draw < 0.4 => "click",
                _ => "view",
            };
            let timestamp = BEGIN + random.below(SPAN as u64) as i64;
            interactions.push(Interaction { item, event, rating, timestamp });
        }
        interactions.sort_by_key(|interaction| (interaction.timestamp, interaction.item));
        let tenant = random.below(self.options.tenants.into()) + 1;
        User { id: format!("user-{user}"), tenant: format!("tenant-{tenant}"), mixture, interactions }
    }

    /// Facet shares: a few large ones.
    fn mixture(&self, random: &mut Random) -> Vec<f64> {
        let raw: Vec<f64> = (0..self.options.facets).map(|_| (-random.unit_positive().ln()).powi(3)).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|share| share / sum.max(f64::MIN_POSITIVE)).collect()
    }

    /// How many interactions a user has. A block of users shares its part of the total by exponential weights.
    fn activity(&self, user: u64) -> u64 {
        let block = user / ACTIVITY_BLOCK;
        let first = block * ACTIVITY_BLOCK;
        let end = (first + ACTIVITY_BLOCK).min(self.options.users);
        let until = |user: u64| {
            (u128::from(self.options.interactions) * u128::from(user) / u128::from(self.options.users)) as u64
        };
        let total = until(end) - until(first);
        let mut random = Random::new(&[self.options.seed, 3, block]);
        let weights: Vec<f64> = (first..end).map(|_| -random.unit_positive().ln()).collect();
        let sum: f64 = weights.iter().sum();
        let position = (user - first) as usize;
        let share = |count: usize| {
            if count == weights.len() {
                return total;
            }
            ((weights[..count].iter().sum::<f64>() / sum * total as f64) as u64).min(total)
        };
        share(position + 1).saturating_sub(share(position))
    }

    fn draw(&self, mixture: &[f64], random: &mut Random) -> u32 {
        let mut left = random.unit();
        let mut facet = 0;
        while facet + 1 < mixture.len() && left >= mixture[facet] {
            left -= mixture[facet];
            facet += 1;
        }
        let facet = facet as u32;
        // Facets differ by at most one item.
        let items = (self.options.items - facet).div_ceil(self.options.facets) as usize;
        let target = random.unit() * self.popularity[items - 1];
        let rank = self.popularity[..items].partition_point(|sum| *sum <= target).min(items - 1) as u32;
        rank * self.options.facets + facet
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options() -> Options {
        Options { users: 500, items: 203, facets: 7, interactions: 20_011, seed: 5, tenants: 3 }
    }

    #[test]
    fn a_user_depends_on_nothing_but_options_and_number() {
        let generator = Generator::new(options()).unwrap();
        let all: Vec<User> = generator.users().collect();
        assert_eq!(generator.user(321), all[321]);
        let other = Generator::new(Options { seed: 6, ..options() }).unwrap();
        assert_ne!(other.user(321).interactions, all[321].interactions);
    }

    #[test]
    fn people_prefer_their_own_facets_and_popular_items() {
        let generator = Generator::new(options()).unwrap();
        let (mut own, mut all, mut head) = (0, 0, 0);
        for user in generator.users() {
            let best = (0..7).max_by(|left, right| user.mixture[*left].total_cmp(&user.mixture[*right])).unwrap();
            for interaction in &user.interactions {
                all += 1;
                own += u32::from(generator.facet(interaction.item) == best as u32);
                head += u32::from(interaction.item < 203 / 5);
            }
        }
        assert!(own * 10 > all * 4, "{own} of {all} in the largest facet");
        assert!(head * 10 > all * 3, "{head} of {all} in the first fifth of items");
    }

    #[test]
    fn words_tell_the_facet() {
        let generator = Generator::new(options()).unwrap();
        let items: Vec<Item> = generator.items().collect();
        let shared = |left: &Item, right: &Item| {
            let words: std::collections::HashSet<_> = left.text.split(' ').collect();
            right.text.split(' ').filter(|word| words.contains(word)).count()
        };
        let (mut same, mut different) = (0, 0);
        for item in 0..100 {
            same += shared(&items[item], &items[item + 7]);
            different += shared(&items[item], &items[item + 8]);
        }
        assert!(same > different * 2, "{same} against {different}");
    }

    #[test]
    fn options_without_data_are_refused() {
        assert_eq!(Generator::new(Options { users: 0, ..options() }).unwrap_err(), OptionsError::Zero("users"));
        let few = Generator::new(Options { items: 6, ..options() }).unwrap_err();
        assert_eq!(few, OptionsError::TooFewItems { items: 6, facets: 7 });
    }

    proptest! {
        #[test]
        fn the_total_is_exact_and_items_exist(
            users in 1u64..80, facets in 1u32..9, extra in 0u32..30, interactions in 0u64..900, seed: u64,
        ) {
            let items = facets + extra;
            let generator = Generator::new(Options { users, items, facets, interactions, seed, tenants: 2 }).unwrap();
            let mut total = 0;
            for user in generator.users() {
                total += user.interactions.len() as u64;
                prop_assert!(user.interactions.iter().all(|interaction| interaction.item < items));
                prop_assert!((user.mixture.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
            prop_assert_eq!(total, interactions);
        }
    }
}
