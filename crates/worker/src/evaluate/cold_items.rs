//! Items that nobody trains with: how test users who have some would have been recommended them.

use std::collections::BTreeMap;

use serde::Serialize;
use teasel_data::{Csr, HeldOut};
use teasel_model::metrics::{Metric, mean};
use teasel_model::{FacetVae, Scorer, ScorerOptions};

use super::measure::{BATCH_USERS, Rows, items_of};
use crate::error::TaskError;

/// Measured in lists of all items.
const AMONG_ALL: [&str; 2] = ["ndcg@100", "recall@50"];
/// Measured in lists of cold items alone.
const AMONG_COLD: [&str; 1] = ["recall@10"];
/// Head of the lists whose cold items are counted.
const LENGTH: usize = 20;

/// How items that nobody trains with are recommended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColdItems {
    /// How many there are.
    items: usize,
    /// Test users who have some: these are asked for.
    users: usize,
    /// In lists of all items.
    among_all: BTreeMap<String, Found>,
    /// In lists of these items alone.
    among_cold: BTreeMap<String, Found>,
    /// Share of the first places of all test users' lists that go to them.
    shown: f64,
}

/// A mean over the users.
#[derive(Clone, Copy, Debug, Serialize)]
struct Found {
    value: f64,
    /// What lists in random order come to on average.
    chance: f64,
}

impl ColdItems {
    /// One number for each metric, and how much of the lists they take.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (String, f64)> {
        let all = self.among_all.iter().map(|(name, found)| (format!("cold-items/{name}"), found.value));
        let cold = self.among_cold.iter().map(|(name, found)| (format!("cold-items/alone/{name}"), found.value));
        all.chain(cold).chain([("cold-items/shown".to_owned(), self.shown)])
    }
}

/// Measures a model of `trained` items, and of cold ones behind them. `asked` are those that each user of `test` has, counted
/// from the first cold one. `None` where nobody has any.
pub(super) async fn measure(
    vae: &FacetVae,
    trained: usize,
    test: &HeldOut,
    asked: &Csr,
) -> Result<Option<ColdItems>, TaskError> {
    let mut known = vec![false; vae.config().all_items()];
    for source in 0..vae.config().content.map_or(0, |content| content.sources) {
        known.iter_mut().zip(vae.known(source)?).for_each(|(known, own)| *known |= own);
    }
    let of_user = |user: usize| -> Vec<u32> {
        let own = asked.row(user).iter().map(|item| item + trained as u32);
        own.filter(|item| known.get(*item as usize).is_some_and(|known| *known)).collect()
    };
    let wanted: Vec<Vec<u32>> = (0..test.users()).map(of_user).collect();
    let users: Vec<usize> = (0..test.users()).filter(|user| !wanted[*user].is_empty()).collect();
    if users.is_empty() {
        return Ok(None);
    }
    let mut all = vae.scorer_with(&ScorerOptions { cold_items: true, ..ScorerOptions::default() })?;
    let items = all.recommendable().saturating_sub(trained);
    let cold: Vec<i64> = (0..vae.config().all_items() as i64).skip(trained).collect();
    let options = ScorerOptions { allowed: Some(&cold), cold_items: true, ..ScorerOptions::default() };
    let mut alone = vae.scorer_with(&options)?;
    let shown = shown(&mut all, trained, test).await?;
    let mut held_out = Csr::empty(false);
    users.iter().for_each(|user| held_out.push(&wanted[*user], None));
    let asked = HeldOut { held_out, ..test.pick(&users) };
    Ok(Some(ColdItems {
        items,
        users: users.len(),
        among_all: found(&mut all, &asked, &AMONG_ALL, |user| asked.fold_in.row(user).len()).await?,
        // What a person has of the others is in none of these lists.
        among_cold: found(&mut alone, &asked, &AMONG_COLD, |_| 0).await?,
        shown,
    }))
}

/// Means over users whose lists lack so many items of the scorer's.
async fn found(
    scorer: &mut Scorer,
    asked: &HeldOut,
    names: &[&str],
    lacking: impl Fn(usize) -> usize,
) -> Result<BTreeMap<String, Found>, TaskError> {
    let metrics = super::measure::parse(names)?;
    let values = super::measure::measure_all(scorer, asked, &metrics).await?;
    let candidates = scorer.recommendable();
    let chance = |metric: &Metric| {
        let of_user = |user| metric.by_chance(asked.held_out.row(user).len(), candidates - lacking(user));
        mean(&(0..asked.users()).map(of_user).collect::<Vec<_>>())
    };
    let named = metrics.iter().zip(&values);
    Ok(named
        .map(|(metric, values)| (metric.to_string(), Found { value: mean(values), chance: chance(metric) }))
        .collect())
}

/// Share of the first places of all lists that go to items behind the trained ones.
async fn shown(scorer: &mut Scorer, trained: usize, test: &HeldOut) -> Result<f64, TaskError> {
    let (mut cold, mut all) = (0_usize, 0_usize);
    for start in (0..test.users()).step_by(BATCH_USERS) {
        let rows = Rows::of(&test.fold_in, &test.keys, start..(start + BATCH_USERS).min(test.users()));
        for list in items_of(&scorer.recommend(&rows.input(), LENGTH, true)?) {
            cold += list.iter().filter(|item| **item as usize >= trained).count();
            all += list.len();
        }
        tokio::task::yield_now().await;
    }
    Ok(cold as f64 / all.max(1) as f64)
}
