//! The items' categories, as measures read them.

use std::collections::BTreeSet;

use teasel_data::Catalogue;
use teasel_model::measures::Shares;

use crate::error::TaskError;

/// The most numbers that the items' shares of categories may have: 80 MB.
const MOST_SHARES: usize = 10_000_000;

/// What is known of the items' categories.
pub(super) struct Categories {
    /// Their names, in order.
    pub(super) names: Vec<String>,
    /// Shares of the items that have any.
    pub(super) shares: Shares,
    /// Each item's row there.
    pub(super) row_of: Vec<Option<usize>>,
    /// Each item's rarest category: a film that is a drama and a western is told apart by the second.
    pub(super) rarest: Vec<Option<u32>>,
}

impl Categories {
    /// Those of a catalogue. `None` where it has none, or so many that they are tags rather than categories.
    pub(super) fn of(catalogue: &Catalogue) -> Result<Option<Self>, TaskError> {
        let names: BTreeSet<&String> = catalogue.categories.iter().flatten().collect();
        if names.len() * catalogue.len() > MOST_SHARES {
            tracing::warn!(
                "{} categories of {} items are too many to be measured by",
                names.len(),
                catalogue.len()
            );
            return Ok(None);
        }
        if names.is_empty() {
            return Ok(None);
        }
        Self::numbered(names, &catalogue.categories).map(Some)
    }

    /// The facets that items are known to belong to, as if they were their categories. `None` where none is known.
    pub(super) fn known_facets(catalogue: &Catalogue) -> Result<Option<Self>, TaskError> {
        let names: BTreeSet<&String> = catalogue.facets.iter().flatten().collect();
        if names.is_empty() || names.len() * catalogue.len() > MOST_SHARES {
            return Ok(None);
        }
        let own: Vec<Vec<String>> = catalogue.facets.iter().map(|facet| facet.iter().cloned().collect()).collect();
        Self::numbered(names, &own).map(Some)
    }

    fn numbered(names: BTreeSet<&String>, of_items: &[Vec<String>]) -> Result<Self, TaskError> {
        let names: Vec<&String> = names.into_iter().collect();
        let number = |name: &String| names.binary_search(&name).unwrap_or_default() as u32;
        // An item may name one twice.
        let numbers = |own: &Vec<String>| own.iter().map(number).collect::<BTreeSet<u32>>().into_iter().collect();
        let numbers: Vec<Vec<u32>> = of_items.iter().map(numbers).collect();
        let (shares, row_of) = Shares::of_categories(names.len(), &numbers)?;
        let rarest = rarest(names.len(), &numbers);
        Ok(Categories { names: names.into_iter().cloned().collect(), shares, row_of, rarest })
    }
}

fn rarest(names: usize, categories: &[Vec<u32>]) -> Vec<Option<u32>> {
    let mut counts = vec![0_u64; names];
    categories.iter().flatten().for_each(|category| counts[*category as usize] += 1);
    let rarest =
        |own: &Vec<u32>| own.iter().copied().min_by_key(|category| (counts[*category as usize], *category));
    categories.iter().map(rarest).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn known_facets_are_read_in_the_place_of_categories() {
        let catalogue = Catalogue {
            ids: vec!["a".into(), "b".into(), "c".into()],
            texts: vec![None; 3],
            categories: vec![vec!["drama".into()], vec!["drama".into()], vec!["western".into()]],
            images: vec![None; 3],
            facets: vec![Some("2".into()), Some("1".into()), None],
            counts: vec![1; 3],
        };
        let known = Categories::known_facets(&catalogue).unwrap().unwrap();
        assert_eq!((known.names, known.rarest), (vec!["1".into(), "2".into()], vec![Some(1), Some(0), None]));
        assert_eq!(known.row_of, [Some(0), Some(1), None]);
        let categories = Categories::of(&catalogue).unwrap().unwrap();
        assert_eq!(categories.rarest, [Some(0), Some(0), Some(1)]);
        assert!(Categories::known_facets(&Catalogue { facets: vec![None; 3], ..catalogue }).unwrap().is_none());
    }

    #[test]
    fn an_items_rarest_category_is_that_of_the_fewest_items() {
        let categories = [vec![0, 1], vec![0], vec![1, 0, 2], vec![], vec![0, 1]];
        assert_eq!(rarest(3, &categories), [Some(1), Some(0), Some(2), None, Some(1)]);
    }
}
