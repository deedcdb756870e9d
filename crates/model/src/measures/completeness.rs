//! Completeness: whether one facet covers an aspect fully, by the measure of Eastwood and Williams ("A Framework for the
//! Quantitative Evaluation of Disentangled Representations", 2018).

use serde::Serialize;

use super::lasso;
use super::permutation::permutation;
use super::shares::{Shares, entropy};
use crate::error::{ModelError, Result};

/// How far each category is covered by one facet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    /// Mean over the categories, weighted by how much of each is told, from 0 to 1: 1 where each is told by one facet
    /// alone, 0 where all facets tell as much of it, or nothing is told of any.
    pub completeness: f64,
    /// Mean over the categories of the share of their variance that facets tell in cross-validation, 0 at least. The
    /// penalty is chosen by the same folds, so a little of it is chance.
    pub r2: f64,
    /// The same the other way round (DCI disentanglement): 1 where each facet tells of one category alone, 0 where each
    /// tells as much of all. Facets weigh as much as they tell.
    pub disentanglement: f64,
    /// `r2` where facets and categories are of different people: what chance alone comes to.
    pub chance_r2: f64,
    /// Both for each category whose share differs among people; `None` for the others.
    #[serde(skip)]
    pub categories: Vec<Option<(f64, f64)>>,
}

/// Completeness of people's facet shares (`[people, facets]`) for their shares of categories (`[people, categories]`).
///
/// A probe, linear and sparse, tells each category's share by the facets' shares; a facet's importance is the size of its
/// weight. `None` with fewer than two facets, ten people or one category that differs among people: there is nothing to
/// cover.
///
/// # Errors
/// [`ModelError::Input`] where both aren't of the same people.
pub fn completeness(facets: &Shares, categories: &Shares, seed: u64) -> Result<Option<Completeness>> {
    if facets.rows() != categories.rows() {
        let (left, right) = (facets.rows(), categories.rows());
        return Err(ModelError::Input(format!("facets and categories are of {left} and {right} people")));
    }
    if facets.columns() < 2 {
        return Ok(None);
    }
    let Some(told) = told(facets, categories) else { return Ok(None) };
    let others = facets.pick(permutation(facets.rows(), seed, 0))?;
    // Categories differ among people in any order, so there is an answer.
    let chance = self::told(&others, categories);
    Ok(Some(Completeness { chance_r2: chance.map_or(0.0, |chance| chance.r2), ..told }))
}

/// What probes tell of the categories, with nothing to say of chance.
fn told(facets: &Shares, categories: &Shares) -> Option<Completeness> {
    let people = facets.rows();
    let rows: Vec<f64> = (0..people).flat_map(|person| facets.row(person)).copied().collect();
    let columns = facets.columns();
    let design = lasso::Design::new(columns, &rows)?;
    // How much each facet tells of each category, `[facet][category]`.
    let mut told_by = vec![vec![0.0; categories.columns()]; columns];
    let mut of_category = |category: usize| {
        let targets: Vec<f64> = (0..people).map(|person| categories.row(person)[category]).collect();
        let probe = design.fit(&targets)?;
        let sum: f64 = probe.weights.iter().copied().map(f64::abs).sum();
        if sum <= 0.0 || probe.r2 <= 0.0 {
            return Some((0.0, 0.0));
        }
        let importance: Vec<f64> = probe.weights.iter().map(|weight| weight.abs() / sum).collect();
        importance.iter().zip(&mut told_by).for_each(|(part, told)| told[category] = part * probe.r2);
        Some((1.0 - entropy(&importance) / (columns as f64).ln(), probe.r2))
    };
    let found: Vec<Option<(f64, f64)>> = (0..categories.columns()).map(&mut of_category).collect();
    let known: Vec<(f64, f64)> = found.iter().flatten().copied().collect();
    if known.is_empty() {
        return None;
    }
    let told: f64 = known.iter().map(|(_, r2)| r2).sum();
    let weighted: f64 = known.iter().map(|(completeness, r2)| completeness * r2).sum();
    Some(Completeness {
        completeness: if told > 0.0 { weighted / told } else { 0.0 },
        r2: told / known.len() as f64,
        disentanglement: disentanglement(&told_by, known.len()),
        chance_r2: 0.0,
        categories: found,
    })
}

/// One less the entropy of what each facet tells of the categories that differ, as a share of the largest there could be.
fn disentanglement(told_by: &[Vec<f64>], categories: usize) -> f64 {
    if categories < 2 {
        return 0.0;
    }
    let (mut sum, mut whole) = (0.0, 0.0);
    for told in told_by {
        let weight: f64 = told.iter().sum();
        if weight > 0.0 {
            let parts: Vec<f64> = told.iter().map(|part| part / weight).collect();
            sum += weight * (1.0 - entropy(&parts) / (categories as f64).ln());
            whole += weight;
        }
    }
    if whole > 0.0 { sum / whole } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PEOPLE: usize = 300;

    /// People's shares of four categories, without pattern.
    fn categories() -> Shares {
        let noise = |index| lasso::tests::noise(index) + 0.5;
        Shares::new(4, (0..PEOPLE * 4).map(|index| -(noise(index) + 1e-9).ln()).collect()).unwrap()
    }

    /// Facets whose shares are mixtures of the categories' by `mixture`, a row for each facet.
    fn mixed(mixture: &[[f64; 4]]) -> Shares {
        let categories = categories();
        let mut values = Vec::new();
        for person in 0..PEOPLE {
            for row in mixture {
                values.push(row.iter().zip(categories.row(person)).map(|(part, share)| part * share).sum());
            }
        }
        Shares::new(mixture.len(), values).unwrap()
    }

    fn of(facets: &Shares) -> Completeness {
        completeness(facets, &categories(), 1).unwrap().unwrap()
    }

    #[test]
    fn a_facet_for_each_category_is_complete() {
        let found =
            of(&mixed(&[[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]));
        assert!(found.completeness > 0.95 && found.r2 > 0.99 && found.disentanglement > 0.95, "{found:?}");
        assert!(found.chance_r2 < 0.05, "{found:?}");
    }

    #[test]
    fn categories_that_are_spread_over_facets_are_not() {
        let turned = [[0.4, 0.2, 0.2, 0.2], [0.2, 0.4, 0.2, 0.2], [0.2, 0.2, 0.4, 0.2], [0.2, 0.2, 0.2, 0.4]];
        let spread = [[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 0.0, 0.5]];
        let separate = of(&mixed(&turned));
        let spread = of(&mixed(&spread));
        assert!(
            spread.completeness < 0.5 && separate.completeness > spread.completeness + 0.3,
            "{spread:?} {separate:?}"
        );
    }

    #[test]
    fn a_facet_of_several_categories_is_complete_for_each_and_not_disentangled() {
        let found = of(&mixed(&[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]));
        assert!(found.disentanglement < 0.6, "{found:?}");
    }

    #[test]
    fn facets_that_tell_nothing_cover_nothing() {
        let uniform = of(&Shares::new(4, vec![0.25; PEOPLE * 4]).unwrap());
        assert_eq!((uniform.completeness, uniform.r2, uniform.disentanglement), (0.0, 0.0, 0.0));
        // Facets of other people.
        let mut values: Vec<f64> =
            (0..PEOPLE).flat_map(|person| categories().row((person + 100) % PEOPLE).to_vec()).collect();
        let other = of(&Shares::new(4, std::mem::take(&mut values)).unwrap());
        assert!(other.completeness < 0.5 && other.r2 < 0.05, "{other:?}");
    }

    #[test]
    fn one_facet_covers_nothing_and_neither_does_any_where_categories_are_the_same_for_all() {
        let one = Shares::new(1, vec![1.0; PEOPLE]).unwrap();
        assert_eq!(completeness(&one, &categories(), 1).unwrap(), None);
        assert_eq!(completeness(&categories(), &one, 1).unwrap(), None);
        assert!(completeness(&categories(), &Shares::new(1, vec![1.0]).unwrap(), 1).is_err());
    }
}
