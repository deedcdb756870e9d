//! People: how active they are, which facets they like, what they do.

use std::collections::HashSet;

use crate::Generator;
use crate::random::Draws;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Person, 0..users.
    pub user: u64,
    /// Public number of the item.
    pub item: u32,
    /// `view`, `click` or `buy`.
    pub event: &'static str,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// The person's site, for data of several tenants.
    pub site: &'static str,
}

const SITES: [&str; 4] = ["north", "south", "east", "west"];
/// 2023-11-14, and two years in which everything happens.
const START: i64 = 1_700_000_000;
const SPAN: u64 = 2 * 365 * 86_400;
/// Draws before a person takes the same item again.
const ATTEMPTS: u32 = 8;

impl Generator {
    /// Interactions of the people of activity rank below `rank`. Its increments fall like rank^-0.4: a few people
    /// are very active, and the sum over all is exact.
    fn interactions_below(&self, rank: u64) -> u64 {
        let config = self.config();
        if rank >= config.users {
            return config.interactions;
        }
        let share = (rank as f64 / config.users as f64).powf(0.6);
        ((config.interactions as f64 * share) as u64).min(config.interactions)
    }

    pub(crate) fn person(&self, user: u64) -> impl Iterator<Item = Interaction> + use<> {
        let config = self.config();
        let rank = self.activity.apply(user);
        let count = self.interactions_below(rank + 1) - self.interactions_below(rank);
        let mut draws = Draws::new(config.seed, 0x9e, user);
        // Three facets, of which the first is liked most; drawn with replacement, so some people like only one.
        let liked: [u32; 3] = std::array::from_fn(|_| draws.below(u64::from(config.facets)) as u32);
        let site = SITES[(draws.unit().powi(2) * SITES.len() as f64) as usize];
        let mut taken = HashSet::new();
        let mut rows: Vec<Interaction> = (0..count)
            .map(|_| {
                let mut item = self.choose(&liked, &mut draws);
                for _ in 1..ATTEMPTS {
                    if taken.insert(item) {
                        break;
                    }
                    item = self.choose(&liked, &mut draws);
                }
                let event = match draws.below(10) {
                    0 => "buy",
                    1 | 2 => "click",
                    _ => "view",
                };
                let timestamp = START + draws.below(SPAN) as i64;
                Interaction { user, item, event, timestamp, site }
            })
            .collect();
        rows.sort_by_key(|row| row.timestamp);
        rows.into_iter()
    }

    fn choose(&self, liked: &[u32; 3], draws: &mut Draws) -> u32 {
        let facet = match draws.below(100) {
            0..60 => liked[0],
            60..80 => liked[1],
            80..92 => liked[2],
            _ => draws.below(u64::from(self.config().facets)) as u32,
        };
        // (n + 1)^u - 1 is distributed as Zipf's law with exponent 1, by its continuous inverse.
        let size = self.facet_size(facet);
        let rank = (f64::from(size) + 1.0).powf(draws.unit()) - 1.0;
        self.item_at(facet, (rank as u32).min(size - 1))
    }
}
