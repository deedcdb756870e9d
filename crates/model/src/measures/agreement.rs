//! Whether facets agree with categories: adjusted mutual information (Vinh, Epps and Bailey, "Information Theoretic
//! Measures for Clusterings Comparison", 2010) of soft assignments.

use serde::Serialize;

use super::permutation::permutation;
use super::shares::{Shares, entropy};
use crate::bootstrap::middle;
use crate::error::{ModelError, Result};

/// How facets agree with categories.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// 1 where a facet tells the category and the other way round, 0 where it tells no more than chance.
    pub adjusted_mutual_information: f64,
    /// Lower end of what categories that were shuffled over the items come to, in 95 %.
    pub chance_low: f64,
    /// Upper end.
    pub chance_high: f64,
    /// Mean over the items of their largest share: 1 where each item is in one facet, `1 / facets` where routing does
    /// nothing.
    pub largest_share: f64,
    /// How many facets are in use: the exponential of the entropy of their mean shares.
    pub effective_facets: f64,
}

/// How the facets of items, `[items, facets]`, agree with the items' categories, of which `None` are left out.
///
/// Mutual information is that of the joint distribution `P(f, g) = mean over items i of c_if [g_i = g]`. What it comes to
/// by chance is the mean over `permutations` of the categories, and the measure is `(I - chance) / (H - chance)` with `H`
/// the mean of both entropies. Where that is no number (one facet and one category), the measure is 0: nothing was
/// told.
///
/// # Errors
/// [`ModelError::Input`] where facets and categories aren't of the same items, or no item has a category.
pub fn agreement(facets: &Shares, categories: &[Option<u32>], permutations: u32, seed: u64) -> Result<Agreement> {
    if facets.rows() != categories.len() || permutations == 0 {
        return Err(ModelError::Input(format!(
            "agreement needs categories of the same items, and permutations: {} and {}, {permutations}",
            facets.rows(),
            categories.len()
        )));
    }
    let known: Vec<(usize, usize)> =
        categories.iter().enumerate().filter_map(|(item, category)| Some((item, (*category)? as usize))).collect();
    let Some(last) = known.iter().map(|(_, category)| *category).max() else {
        return Err(ModelError::Input("no item has a category".into()));
    };
    let items = known.len() as f64;
    let mut facet_shares = vec![0.0; facets.columns()];
    let mut category_shares = vec![0.0; last + 1];
    let mut largest_share = 0.0;
    for (item, category) in &known {
        let row = facets.row(*item);
        facet_shares.iter_mut().zip(row).for_each(|(sum, share)| *sum += share / items);
        category_shares[*category] += 1.0 / items;
        largest_share += row.iter().copied().fold(0.0, f64::max) / items;
    }
    let entropies = entropy(&facet_shares) + entropy(&category_shares);
    let information = |order: Option<&[usize]>| {
        let mut joint = vec![0.0; facets.columns() * (last + 1)];
        for (position, (item, _)) in known.iter().enumerate() {
            let category = known[order.map_or(position, |order| order[position])].1;
            let cells = &mut joint[category * facets.columns()..][..facets.columns()];
            cells.iter_mut().zip(facets.row(*item)).for_each(|(cell, share)| *cell += share / items);
        }
        entropies - entropy(&joint)
    };
    let shuffled: Vec<f64> =
        (0..permutations).map(|number| information(Some(&permutation(known.len(), seed, number)))).collect();
    let chance = shuffled.iter().sum::<f64>() / shuffled.len() as f64;
    let adjust = |information: f64| {
        let range = entropies / 2.0 - chance;
        if range > f64::EPSILON { (information - chance) / range } else { 0.0 }
    };
    let mut adjusted: Vec<f64> = shuffled.into_iter().map(adjust).collect();
    let (chance_low, chance_high) = middle(&mut adjusted);
    Ok(Agreement {
        adjusted_mutual_information: adjust(information(None)),
        chance_low,
        chance_high,
        largest_share,
        effective_facets: entropy(&facet_shares).exp(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ITEMS: usize = 300;

    /// Each item's category of three.
    fn categories() -> Vec<Option<u32>> {
        (0..ITEMS).map(|item| Some((item % 3) as u32)).collect()
    }

    /// Facets of which each item has one, as `choose` says.
    fn hard(facets: usize, choose: impl Fn(usize) -> usize) -> Shares {
        let mut values = vec![0.0; ITEMS * facets];
        (0..ITEMS).for_each(|item| values[item * facets + choose(item)] = 1.0);
        Shares::new(facets, values).unwrap()
    }

    fn of(facets: &Shares) -> Agreement {
        agreement(facets, &categories(), 200, 1).unwrap()
    }

    #[test]
    fn facets_that_are_the_categories_agree_wholly_whatever_their_order() {
        let found = of(&hard(3, |item| (item + 1) % 3));
        assert!((found.adjusted_mutual_information - 1.0).abs() < 1e-9, "{found:?}");
        assert!((found.effective_facets - 3.0).abs() < 1e-9, "{found:?}");
        assert!((found.largest_share - 1.0).abs() < 1e-9, "{found:?}");
        assert!(found.chance_high < 0.05, "{found:?}");
    }

    #[test]
    fn facets_that_know_nothing_of_categories_agree_by_chance_only() {
        // Many of them: mutual information that isn't adjusted would find much.
        let order = permutation(ITEMS, 77, 0);
        let found = of(&hard(60, |item| order[item] % 60));
        assert!(found.adjusted_mutual_information.abs() < 0.1, "{found:?}");
        let inside = found.chance_low <= found.adjusted_mutual_information
            && found.adjusted_mutual_information <= found.chance_high;
        assert!(inside, "{found:?}");
    }

    #[test]
    fn half_sure_facets_agree_by_as_much() {
        let mut values = vec![0.2; ITEMS * 3];
        (0..ITEMS).for_each(|item| values[item * 3 + item % 3] = 0.6);
        let found = of(&Shares::new(3, values).unwrap());
        // Of the joint distribution with .2 on the diagonal and .2/3 off it.
        let information = 0.6 * (0.6_f64 * 3.0).ln() + 0.4 * (0.2_f64 * 3.0).ln();
        assert!((found.adjusted_mutual_information - information / 3.0_f64.ln()).abs() < 0.01, "{found:?}");
        assert!((found.largest_share - 0.6).abs() < 1e-9);
    }

    #[test]
    fn routing_that_does_nothing_and_a_single_facet_win_nothing() {
        let uniform = of(&Shares::new(4, vec![0.25; ITEMS * 4]).unwrap());
        assert!(
            uniform.adjusted_mutual_information.abs() < 1e-9 && uniform.chance_high.abs() < 1e-9,
            "{uniform:?}"
        );
        assert!((uniform.largest_share - 0.25).abs() < 1e-9);
        // A temperature that is much too high: the largest share tells the right category each time.
        let mut values = vec![0.33; ITEMS * 3];
        (0..ITEMS).for_each(|item| values[item * 3 + item % 3] = 0.34);
        let faint = of(&Shares::new(3, values).unwrap());
        assert!(faint.adjusted_mutual_information < 0.001, "{faint:?}");
        let one = of(&hard(1, |_| 0));
        assert_eq!(one.adjusted_mutual_information, 0.0);
        assert!((one.effective_facets - 1.0).abs() < 1e-9, "{one:?}");
        let all = agreement(&hard(1, |_| 0), &vec![Some(0); ITEMS], 10, 1).unwrap();
        assert_eq!(all.adjusted_mutual_information, 0.0);
        // All items in one of three facets.
        let one_of_three = of(&hard(3, |_| 1));
        assert_eq!(one_of_three.adjusted_mutual_information, 0.0);
        assert!((one_of_three.effective_facets - 1.0).abs() < 1e-9);
    }

    #[test]
    fn items_without_a_category_are_left_out() {
        let mut some = categories();
        some.iter_mut().skip(150).for_each(|category| *category = None);
        let facets = hard(3, |item| if item < 150 { item % 3 } else { 0 });
        let found = agreement(&facets, &some, 200, 1).unwrap();
        assert!((found.adjusted_mutual_information - 1.0).abs() < 1e-9, "{found:?}");
        assert!(agreement(&facets, &vec![None; ITEMS], 200, 1).is_err());
        assert!(agreement(&facets, &some[1..], 200, 1).is_err());
    }
}
