//! What an item and the items that it is recommended because of have in common, in words.

use std::collections::{BTreeSet, HashMap};

use teasel_data::Catalogue;

use crate::words::terms;

/// Words of a reason.
const SHARED: usize = 3;
/// A word of more than this share of the items says nothing of two that have it.
const MOST_ITEMS: f64 = 0.05;

/// The items' categories and terms: categories first, of each the rarest ones first.
pub(super) struct Labels {
    names: Vec<String>,
    /// Places of each item's labels in `names`, ascending.
    of_items: Vec<Vec<u32>>,
}

impl Labels {
    /// Those of a catalogue.
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let own = |item: usize| {
            let categories: BTreeSet<String> = catalogue.categories[item].iter().cloned().collect();
            let said: BTreeSet<String> = categories.iter().flat_map(|category| terms(category)).collect();
            let words = terms(catalogue.texts[item].as_deref().unwrap_or_default());
            let words = words.into_iter().filter(|word| !said.contains(word)).map(|word| (true, word));
            categories.into_iter().map(|category| (false, category)).chain(words).collect::<Vec<_>>()
        };
        let mut counts: HashMap<(bool, String), u32> = HashMap::new();
        for item in 0..catalogue.len() {
            for label in own(item) {
                *counts.entry(label).or_default() += 1;
            }
        }
        let most = (MOST_ITEMS * catalogue.len() as f64).max(2.0);
        // What a single item has, it shares with none.
        counts.retain(|(is_word, _), count| *count > 1 && (!*is_word || f64::from(*count) <= most));
        let mut order: Vec<((bool, String), u32)> = counts.into_iter().collect();
        order.sort_by(|((word, name), count), ((other_word, other), other_count)| {
            (word, count, name).cmp(&(other_word, other_count, other))
        });
        let place: HashMap<&(bool, String), u32> =
            order.iter().zip(0..).map(|((label, _), place)| (label, place)).collect();
        let of_items = (0..catalogue.len()).map(|item| {
            let mut places: Vec<u32> = own(item).iter().filter_map(|label| place.get(label).copied()).collect();
            places.sort_unstable();
            places
        });
        let of_items = of_items.collect();
        Self { names: order.into_iter().map(|((_, name), _)| name).collect(), of_items }
    }

    /// What `item` has in common with at least one of `others`: the first few words.
    pub(super) fn shared(
        &self,
        item: u32,
        others: impl Iterator<Item = u32> + Clone,
    ) -> impl Iterator<Item = &str> {
        let labels = |item: u32| self.of_items.get(item as usize).map_or(&[][..], Vec::as_slice);
        let has = move |label: &u32| others.clone().any(|other| labels(other).binary_search(label).is_ok());
        let shared = labels(item).iter().filter(move |label| has(label)).take(SHARED);
        shared.map(|label| self.names[*label as usize].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let texts = ["The Sheriff rides western", "The sheriff sleeps", "The droid", "the droid and the sheriff"];
        let categories = [&["western", "drama"][..], &["western", "drama"], &["drama"], &["space"]];
        let filler = (0..66).map(|item| (Some(format!("the {item}")), Vec::new()));
        let told = texts.iter().zip(categories).map(|(text, categories)| {
            (Some((*text).to_owned()), categories.iter().map(|name| (*name).to_owned()).collect())
        });
        let (texts, categories): (Vec<_>, Vec<_>) = told.chain(filler).unzip();
        let items = texts.len();
        Labels::of(&Catalogue {
            ids: (0..items).map(|item| item.to_string()).collect(),
            texts,
            categories,
            images: vec![None; items],
            facets: vec![None; items],
            counts: vec![1; items],
        })
    }

    fn shared(item: u32, others: &[u32]) -> Vec<String> {
        labels().shared(item, others.iter().copied()).map(str::to_owned).collect()
    }

    #[test]
    fn rare_categories_come_first_and_then_rare_terms() {
        assert_eq!(shared(1, &[0]), ["western", "drama", "sheriff"]);
        assert_eq!(shared(3, &[2, 1]), ["droid", "sheriff"]);
    }

    #[test]
    fn what_is_everywhere_or_only_here_is_not_shared() {
        assert!(shared(2, &[10, 11]).is_empty(), "everything has an article");
        assert!(shared(3, &[0, 999]).iter().all(|label| label == "sheriff"), "nothing else is in space");
        assert!(shared(0, &[]).is_empty());
    }
}
