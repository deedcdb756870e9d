//! What the report shows beside the measures: what facets hold, and how the run went.

use std::collections::BTreeSet;

use teasel_api::outcome::Usage;
use teasel_api::task::TaskKind;
use teasel_data::Catalogue;
use teasel_model::Scorer;
use teasel_model::measures::Shares;
use teasel_report::{CategoryShare, Facet, FacetItem, HeatMap, MapItem, Phase, TailPoint};
use teasel_storage::run_log::RunState;

use super::categories::Categories;
use super::class_tf_idf;
use crate::error::TaskError;
use crate::outcome;
use crate::words::terms;

/// Typical items of a facet.
const TYPICAL: usize = 10;
/// Distinctive categories of a facet.
const DISTINCTIVE: usize = 5;
/// Categories of the heat map: those of the most items.
const CATEGORIES: usize = 30;
/// Items of the map.
const MAPPED: usize = 1_000;

/// What the facets of a model hold.
pub(super) fn facets(shares: &Shares, catalogue: &Catalogue, categories: Option<&Categories>) -> Vec<Facet> {
    let mean = shares.mean();
    let said: BTreeSet<String> =
        categories.iter().flat_map(|known| &known.names).flat_map(|name| terms(name)).collect();
    let mut distinctive_terms = class_tf_idf::distinctive(shares, catalogue, &said).into_iter();
    let weights: Vec<f64> = catalogue.counts.iter().map(|count| (1.0 + *count as f64).ln()).collect();
    (0..shares.columns())
        .map(|facet| {
            let share = |item: usize| shares.row(item)[facet];
            let mut items: Vec<usize> = (0..shares.rows()).collect();
            let weight = |item: usize| share(item) * weights[item];
            let order =
                |left: &usize, right: &usize| weight(*right).total_cmp(&weight(*left)).then(left.cmp(right));
            if items.len() > TYPICAL {
                items.select_nth_unstable_by(TYPICAL, order);
                items.truncate(TYPICAL);
            }
            items.sort_by(order);
            let typical = |item: usize| FacetItem { name: catalogue.name(item), share: share(item) };
            Facet {
                share: mean[facet],
                items: items.into_iter().map(typical).collect(),
                categories: categories.map(|known| distinctive(&share, known)).unwrap_or_default(),
                terms: distinctive_terms.next().unwrap_or_default(),
            }
        })
        .collect()
}

/// The categories of which a facet has more than all items have: those first whose parts of the relative entropy between
/// both are the largest.
fn distinctive(share: &impl Fn(usize) -> f64, categories: &Categories) -> Vec<CategoryShare> {
    let mut own = vec![0.0; categories.names.len()];
    let mut sum = 0.0;
    for (item, row) in categories.row_of.iter().enumerate() {
        let Some(row) = row else { continue };
        let weight = share(item);
        sum += weight;
        own.iter_mut().zip(categories.shares.row(*row)).for_each(|(own, share)| *own += weight * share);
    }
    let all = categories.shares.mean();
    let mut found: Vec<CategoryShare> = own
        .into_iter()
        .zip(all)
        .zip(&categories.names)
        .map(|((own, all), name)| {
            let share = if sum > 0.0 { own / sum } else { 0.0 };
            CategoryShare { name: name.clone(), share, lift: if all > 0.0 { share / all } else { 0.0 } }
        })
        .filter(|category| category.lift > 1.0)
        .collect();
    let part = |category: &CategoryShare| category.share * category.lift.ln();
    found.sort_by(|left, right| part(right).total_cmp(&part(left)));
    found.truncate(DISTINCTIVE);
    found
}

/// The facets of the most frequent categories' items.
pub(super) fn heat_map(shares: &Shares, categories: &Categories) -> HeatMap {
    let names = categories.names.len();
    let mut counts = vec![0.0_f64; names];
    let mut sums = vec![vec![0.0; shares.columns()]; names];
    for (item, row) in categories.row_of.iter().enumerate() {
        let Some(row) = row else { continue };
        let of_item = categories.shares.row(*row).iter().enumerate().filter(|(_, share)| **share > 0.0);
        for (category, _) in of_item {
            counts[category] += 1.0;
            sums[category].iter_mut().zip(shares.row(item)).for_each(|(sum, share)| *sum += share);
        }
    }
    let mut order: Vec<usize> = (0..names).filter(|category| counts[*category] > 0.0).collect();
    order.sort_by(|left, right| counts[*right].total_cmp(&counts[*left]).then(left.cmp(right)));
    order.truncate(CATEGORIES);
    HeatMap {
        names: order.iter().map(|category| categories.names[*category].clone()).collect(),
        shares: order
            .iter()
            .map(|category| sums[*category].iter().map(|sum| sum / counts[*category]).collect())
            .collect(),
    }
}

/// The most popular items in a plane.
pub(super) fn map(scorer: &Scorer, shares: &Shares, catalogue: &Catalogue) -> Result<Vec<MapItem>, TaskError> {
    let items = scorer.item_plane(MAPPED)?.into_iter().enumerate();
    // Four digits are more than a plot shows.
    let short = |value: f64| (value * 1e4).round() / 1e4;
    Ok(items
        .map(|(item, (x, y))| MapItem {
            name: catalogue.name(item),
            x: short(x),
            y: short(y),
            facet: shares.largest(item),
        })
        .collect())
}

/// How the interactions are spread over the items: a point for each per cent of these.
pub(super) fn tail(catalogue: &Catalogue) -> Vec<TailPoint> {
    let mut counts = catalogue.counts.clone();
    counts.sort_unstable_by(|left, right| right.cmp(left));
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return Vec::new();
    }
    (1..=100)
        .map(|percent| {
            let items = (counts.len() * percent).div_ceil(100);
            let interactions: u64 = counts[..items].iter().sum();
            TailPoint { items: percent as f64 / 100.0, interactions: interactions as f64 / all as f64 }
        })
        .collect()
}

/// What preparing took, where that is known, then training, and this evaluation so far.
pub(super) fn phases(preparation: Option<Usage>, log: &RunState) -> Vec<Phase> {
    let trained = log.outcome_of(TaskKind::Train, "").and_then(|outcome| outcome.usage);
    let phase = |task: TaskKind, attempts: u32, usage: Option<Usage>| Phase {
        name: task.as_str().to_owned(),
        attempts,
        seconds: usage.map(|usage| usage.seconds),
        peak_memory_bytes: usage.and_then(|usage| usage.peak_memory_bytes),
    };
    let prepared = preparation.map(|usage| phase(TaskKind::Prepare, 1, Some(usage)));
    let own = [(TaskKind::Train, trained), (TaskKind::Evaluate, Some(outcome::usage()))];
    prepared.into_iter().chain(own.map(|(task, usage)| phase(task, log.attempts_at(task), usage))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Four items in two facets: the first two are westerns, of which everybody has the second; the third is a drama.
    fn items() -> (Shares, Catalogue) {
        let shares = Shares::new(2, vec![0.9, 0.1, 0.8, 0.2, 0.2, 0.8, 0.0, 1.0]).unwrap();
        let catalogue = Catalogue {
            ids: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            texts: vec![None, Some(" \n High  Noon\n1952".into()), Some("x".repeat(200)), Some(" ".into())],
            categories: [&["western"][..], &["western", "drama"], &["drama"], &[]]
                .map(|own| own.iter().map(|name| (*name).to_owned()).collect())
                .to_vec(),
            images: vec![None; 4],
            facets: vec![None; 4],
            counts: vec![1, 1000, 10, 5],
        };
        (shares, catalogue)
    }

    #[test]
    fn a_facet_has_its_typical_items_and_distinctive_categories() {
        let (shares, catalogue) = items();
        let categories = Categories::of(&catalogue).unwrap().unwrap();
        let facets = facets(&shares, &catalogue, Some(&categories));
        assert!((facets[0].share - 0.475).abs() < 1e-12);
        let names: Vec<&str> = facets[0].items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names[..2], ["High Noon", "a"]);
        assert_eq!(names[2].chars().count(), 81);
        assert_eq!(facets[1].items[0].name, "x".repeat(80) + "…", "an item of more people comes first");
        let western: Vec<&str> = facets[0].categories.iter().map(|category| category.name.as_str()).collect();
        assert_eq!(western, ["western"]);
        // (0.9 + 0.8 / 2) of 1.9, where all items have (1 + 1 / 2) / 3.
        assert!((facets[0].categories[0].lift - (1.3 / 1.9) / 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_category_has_the_facets_of_its_items() {
        let (shares, catalogue) = items();
        let map = heat_map(&shares, &Categories::of(&catalogue).unwrap().unwrap());
        assert_eq!(map.names, ["drama", "western"]);
        assert!((map.shares[1][0] - 0.85).abs() < 1e-12 && (map.shares[0][0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_long_tail_adds_up() {
        let tail = tail(&items().1);
        assert_eq!(tail.len(), 100);
        assert_eq!(tail[99], TailPoint { items: 1.0, interactions: 1.0 });
        assert!((tail[24].interactions - 1000.0 / 1016.0).abs() < 1e-12);
        assert!(super::tail(&Catalogue { counts: vec![0], ..items().1 }).is_empty());
    }
}
