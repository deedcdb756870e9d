//! Synthetic interactions with planted facets: known truth for tests, benchmarks and `teasel generate`.
//!
//! Every item belongs to one facet, its title speaks of it, and its popularity inside the facet follows Zipf's law.
//! Every person prefers a few facets. All draws are counter-based: person `n` is the same whoever else is
//! generated, and any size streams in constant memory.

mod catalogue;
mod config;
mod csv;
mod people;
mod random;

pub use catalogue::Item;
pub use config::{Config, SyntheticError};
pub use csv::{write_interactions, write_items};
pub use people::Interaction;

use random::Permutation;

/// A checked [`Config`], ready to generate.
#[derive(Clone, Debug)]
pub struct Generator {
    config: Config,
    item_ids: Permutation,
    activity: Permutation,
}

impl Generator {
    /// Checks the configuration.
    ///
    /// # Errors
    /// Says which size is zero or doesn't fit another one.
    pub fn new(config: Config) -> Result<Generator, SyntheticError> {
        config.check()?;
        Ok(Generator {
            config,
            item_ids: Permutation::new(u64::from(config.items), config.seed ^ 0x17e8),
            activity: Permutation::new(config.users, config.seed ^ 0xac71),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every item, in the order of its number.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        (0..self.config.items).map(|number| self.item(number))
    }

    /// Exactly `config.interactions` interactions, person by person and by time.
    pub fn interactions(&self) -> impl Iterator<Item = Interaction> + '_ {
        (0..self.config.users).flat_map(|user| self.person(user))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn config() -> Config {
        Config { users: 300, items: 200, facets: 4, interactions: 9_000, seed: 7 }
    }

    #[test]
    fn the_same_seed_gives_the_same_data_and_another_seed_gives_other_data() {
        let rows = |seed| {
            let generator = Generator::new(Config { seed, ..config() }).unwrap();
            generator.interactions().collect::<Vec<_>>()
        };
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
    }

    #[test]
    fn people_keep_to_few_facets() {
        let generator = Generator::new(config()).unwrap();
        let facets: Vec<u32> = {
            let mut by_id: Vec<(u32, u32)> = generator.items().map(|item| (item.id, item.facet)).collect();
            by_id.sort_unstable();
            by_id.into_iter().map(|(_, facet)| facet).collect()
        };
        let mut shares: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for row in generator.interactions() {
            shares.entry(row.user).or_insert_with(|| vec![0.0; 4])[facets[row.item as usize] as usize] += 1.0;
        }
        let favourite: f64 = shares
            .values()
            .map(|counts| counts.iter().copied().fold(0.0, f64::max) / counts.iter().sum::<f64>())
            .sum::<f64>()
            / shares.len() as f64;
        assert!(favourite > 0.55, "the favourite facet takes {favourite}; an even mixture would take about .35");
    }

    #[test]
    fn titles_of_different_facets_share_no_word_of_their_theme() {
        let generator = Generator::new(config()).unwrap();
        let mut words: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for item in generator.items() {
            words.entry(item.facet).or_default().extend(item.title.split(' ').map(str::to_owned));
        }
        for (facet, vocabulary) in &words {
            for (other, others) in &words {
                assert!(facet == other || vocabulary.is_disjoint(others), "facets {facet} and {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_number_of_interactions_is_exact(
            users in 1u64..200, items in 1u32..100, facets in 1u32..9, interactions in 0u64..2_000, seed: u64,
        ) {
            prop_assume!(facets <= items);
            let generator = Generator::new(Config { users, items, facets, interactions, seed }).unwrap();
            let rows: Vec<Interaction> = generator.interactions().collect();
            prop_assert_eq!(rows.len() as u64, interactions);
            prop_assert!(rows.iter().all(|row| row.user < users && row.item < items));
            let ids: BTreeSet<u32> = generator.items().map(|item| item.id).collect();
            prop_assert_eq!(ids.len() as u32, items);
        }
    }
}
