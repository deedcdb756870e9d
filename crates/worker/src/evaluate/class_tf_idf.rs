//! Terms that tell a facet's items from others: class-based TF-IDF (Grootendorst, "BERTopic", 2022) of the items' texts, with
//! soft shares in the place of classes, times the logarithm of how much more frequent a term is in the facet: without
//! that, frequent words without a meaning of their own come first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use teasel_data::Catalogue;
use teasel_model::measures::Shares;

use crate::words::terms;

/// Terms of a facet.
const TERMS: usize = 5;
/// The most terms that are compared: those of the most items.
const MOST_TERMS: usize = 20_000;
/// Items that a term must be in, so that it says something of more than an item.
const FEWEST_ITEMS: u32 = 3;
/// A term must be more frequent in a facet's items than in all, by this power of how much more it could be at most: what is
/// everywhere, in whatever language, tells nothing.
const SMALLEST_LIFT: f64 = 1.0 / 3.0;

/// The most distinctive terms of each facet, best first. Those of `known`, in whatever case, are left out.
pub(super) fn distinctive(shares: &Shares, catalogue: &Catalogue, known: &BTreeSet<String>) -> Vec<Vec<String>> {
    let facets = shares.columns();
    let texts: Vec<BTreeSet<String>> =
        catalogue.texts.iter().map(|text| terms(text.as_deref().unwrap_or_default())).collect();
    let mut items_of: HashMap<&str, u32> = HashMap::new();
    for term in texts.iter().flatten().filter(|term| !known.contains(*term)) {
        *items_of.entry(term).or_default() += 1;
    }
    let mut kept: Vec<(&str, u32)> = items_of.into_iter().filter(|(_, items)| *items >= FEWEST_ITEMS).collect();
    kept.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
    kept.truncate(MOST_TERMS);
    let place: BTreeMap<&str, usize> = kept.iter().zip(0..).map(|((term, _), place)| (*term, place)).collect();

    // How many of a facet's items a term is in, and how many terms a facet has.
    let mut frequencies = vec![0.0; kept.len() * facets];
    let mut lengths = vec![0.0; facets];
    for (item, text) in texts.iter().enumerate() {
        for place in text.iter().filter_map(|term| place.get(term.as_str())) {
            for (facet, share) in shares.row(item).iter().enumerate() {
                frequencies[place * facets + facet] += share;
                lengths[facet] += share;
            }
        }
    }
    let length: f64 = lengths.iter().sum();
    let mean_length = length / facets as f64;
    (0..facets)
        .map(|facet| {
            let scored = kept.iter().enumerate().filter_map(|(place, (term, items))| {
                let frequency: f64 = frequencies[place * facets + facet];
                let highest_lift = length / lengths[facet].max(f64::MIN_POSITIVE);
                let lift = highest_lift * frequency / f64::from(*items);
                let score = frequency * (1.0 + mean_length / f64::from(*items)).ln() * lift.ln();
                (lift >= highest_lift.powf(SMALLEST_LIFT) && lift > 1.0).then_some((score, *term))
            });
            let mut scored: Vec<(f64, &str)> = scored.collect();
            scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
            scored.into_iter().take(TERMS).map(|(_, term)| term.to_owned()).collect()
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Westerns are in the first facet, space operas in the second.
    fn catalogue() -> (Shares, Catalogue) {
        let texts = [
            "The Sheriff of the Prairie 1952",
            "The last sheriff: horses",
            "the sheriff, again",
            "The Galaxy of Droids",
            "the GALAXY returns",
            "the galaxy, and the end",
        ];
        let catalogue = Catalogue {
            ids: (0..6).map(|item| item.to_string()).collect(),
            texts: texts.iter().map(|text| Some((*text).to_owned())).collect(),
            categories: vec![Vec::new(); 6],
            images: vec![None; 6],
            facets: vec![None; 6],
            counts: vec![1; 6],
        };
        let shares =
            Shares::new(2, (0..6).flat_map(|item| if item < 3 { [0.9, 0.1] } else { [0.2, 0.8] }).collect());
        (shares.unwrap(), catalogue)
    }

    #[test]
    fn terms_that_are_everywhere_or_in_few_items_tell_nothing() {
        let (shares, catalogue) = catalogue();
        assert_eq!(distinctive(&shares, &catalogue, &BTreeSet::new()), [["sheriff"], ["galaxy"]]);
    }

    #[test]
    fn what_categories_say_already_is_left_out() {
        let (shares, catalogue) = catalogue();
        let found = distinctive(&shares, &catalogue, &BTreeSet::from(["galaxy".to_owned()]));
        assert_eq!(found, [vec!["sheriff".to_owned()], vec![]]);
    }

    #[test]
    fn items_without_texts_have_no_terms() {
        let (shares, catalogue) = catalogue();
        let mute = Catalogue { texts: vec![None; 6], ..catalogue };
        assert!(distinctive(&shares, &mute, &BTreeSet::new()).iter().all(Vec::is_empty));
    }
}
