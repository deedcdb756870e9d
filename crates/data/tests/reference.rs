//! The prepared dataset equals what a naive program makes of the same rows in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Folder, Snapshot, Weighted, snapshot, tenant, tenant_users};
use proptest::prelude::*;
use serde_json::json;
use teasel_data::user_key;

/// A raw row: site, user, item, kind of behaviour, rating. Its time is its place among all rows.
type Row = (u8, u8, u8, u8, u8);
type Person = (String, String);

const EVENTS: [(&str, Option<f64>); 4] =
    [("view", Some(1.0)), ("buy", Some(8.0)), ("return", Some(-8.0)), ("other", None)];
const MINIMUM_RATING: u8 = 2;

/// What is left of rows, in memory.
struct Reference {
    /// Everybody.
    people: BTreeSet<Person>,
    /// Pairs with a positive weight: weight and newest time.
    pairs: BTreeMap<Person, BTreeMap<String, (f64, usize)>>,
    /// Those that the k-core leaves.
    core: BTreeMap<Person, BTreeMap<String, (f64, usize)>>,
    duplicates: u64,
}

impl Reference {
    fn of(rows: &[Row], minimum_user: usize, minimum_item: usize) -> Reference {
        let (mut people, mut pairs) = (BTreeSet::new(), BTreeMap::<Person, BTreeMap<String, (f64, usize)>>::new());
        let mut duplicates = 0;
        for (time, (site, user, item, event, rating)) in rows.iter().enumerate() {
            let person = (format!("s{site}"), format!("u{user}"));
            people.insert(person.clone());
            let Some(weight) = EVENTS[*event as usize].1 else { continue };
            if *rating < MINIMUM_RATING {
                continue;
            }
            match pairs.entry(person).or_default().entry(format!("i{item}")) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert((weight, time));
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    duplicates += 1;
                    entry.get_mut().0 += weight;
                    entry.get_mut().1 = time;
                }
            }
        }
        pairs.values_mut().for_each(|items| items.retain(|_, (weight, _)| *weight > 0.0));
        let mut core = pairs.clone();
        loop {
            let before: usize = core.values().map(BTreeMap::len).sum();
            core.retain(|_, items| items.len() >= minimum_user.max(1));
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            core.values().flat_map(BTreeMap::keys).for_each(|item| *counts.entry(item.clone()).or_default() += 1);
            core.values_mut().for_each(|items| items.retain(|item, _| counts[item] >= minimum_item));
            core.retain(|_, items| items.len() >= minimum_user.max(1));
            if core.values().map(BTreeMap::len).sum::<usize>() == before {
                return Reference { people, pairs, core, duplicates };
            }
        }
    }

    fn by_key(&self) -> BTreeMap<u64, &BTreeMap<String, (f64, usize)>> {
        self.core.iter().map(|((site, user), items)| (user_key(Some(site), user), items)).collect()
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Few values, so that rows repeat and filters bite.
    prop::collection::vec((0u8..2, 0u8..12, 0u8..9, 0u8..4, 0u8..6), 60..400)
}

fn write(folder: &Folder, rows: &[Row]) {
    let header = "site,user,item,event,rating,time";
    for file in 0..3 {
        let text: String = rows
            .iter()
            .enumerate()
            .filter(|(time, _)| time % 3 == file)
            .map(|(time, (site, user, item, event, rating))| {
                format!("s{site},u{user},i{item},{},{rating},{}\n", EVENTS[*event as usize].0, 1_000 + time)
            })
            .collect();
        folder.raw(&format!("rows/{file}.csv"), format!("{header}\n{text}"));
    }
}

/// Prepares; `None` where nothing is left, which the reference must agree with.
fn run(rows: &[Row], minimum: (usize, usize), weighting: &str, split: serde_json::Value) -> Option<Ran> {
    let folder = Folder::new();
    write(&folder, rows);
    let data = folder.data("rows/", |data| {
        data["interactions"]["columns"] = json!({
            "user": "user", "item": "item", "event": "event", "rating": "rating", "timestamp": "time", "tenant": "site",
        });
        data["interactions"]["events"] = json!({"view": 1.0, "buy": 8.0, "return": -8.0});
        data["interactions"]["minimumRating"] = json!(MINIMUM_RATING);
        data["interactions"]["weighting"] = json!(weighting);
        data["minimumInteractions"] = json!({"user": minimum.0, "item": minimum.1});
        data["split"] = split;
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let prepared = match folder.prepare(&data, &[tenant("first", "s0")]).await {
            Ok(prepared) => prepared,
            Err(error) => {
                assert_eq!(error.reason(), "NothingLeft", "{error}");
                return None;
            }
        };
        let storage = folder.storage();
        let snapshot = snapshot(&storage, &prepared.fingerprint).await;
        let tenant = tenant_users(&storage, &prepared.fingerprint, "first", 3, 4).await;
        Some(Ran { snapshot, tenant, report: prepared.report })
    })
}

struct Ran {
    snapshot: Snapshot,
    tenant: Vec<(String, Vec<String>, bool)>,
    report: teasel_data::Report,
}

fn union<'a>(left: &'a Weighted, right: &'a Weighted) -> BTreeSet<&'a String> {
    left.keys().chain(right.keys()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn strong_generalization_keeps_every_filtered_pair_in_its_place(
        rows in rows(), minimum in (1usize..4, 1usize..4), share in 0.1f64..0.6, seed: u64,
    ) {
        let reference = Reference::of(&rows, minimum.0, minimum.1);
        let split = json!({
            "type": "strongGeneralization", "seed": seed, "validation": 0.2, "test": 0.2, "heldOut": share,
        });
        let Some(Ran { snapshot, tenant, report }) = run(&rows, minimum, "Weighted", split) else {
            return Ok(());
        };
        let expected = reference.by_key();
        let mut training_items: BTreeMap<String, u64> = BTreeMap::new();
        for (key, items) in &snapshot.training {
            let theirs: Weighted = expected[key].iter().map(|(item, (weight, _))| (item.clone(), *weight as f32)).collect();
            prop_assert_eq!(items, &theirs);
            items.keys().for_each(|item| *training_items.entry(item.clone()).or_default() += 1);
        }
        prop_assert_eq!(&snapshot.items, &training_items);
        for (key, (fold_in, held_out)) in snapshot.validation.iter().chain(&snapshot.test) {
            prop_assert!(!snapshot.training.contains_key(key));
            let known: BTreeSet<&String> =
                expected[key].keys().filter(|item| training_items.contains_key(*item)).collect();
            prop_assert_eq!(union(fold_in, held_out), known.clone());
            prop_assert_eq!(fold_in.len() + held_out.len(), known.len());
            let hidden = ((share * known.len() as f64 + 1e-9) as usize).clamp(1, known.len() - 1);
            prop_assert_eq!(held_out.len(), hidden);
            for (item, weight) in fold_in {
                prop_assert_eq!(*weight, expected[key][item].0 as f32);
            }
        }
        prop_assert!(snapshot.validation.keys().all(|key| !snapshot.test.contains_key(key)));
        prop_assert_eq!(report.rows, rows.len() as u64);
        prop_assert_eq!(report.raw_users, reference.people.len() as u64);
        prop_assert_eq!(report.users, expected.len() as u64);
        prop_assert_eq!(report.interactions, expected.values().map(|items| items.len() as u64).sum::<u64>());
        prop_assert_eq!(report.dropped.duplicates, reference.duplicates);

        // Everybody of the tenant, in order, with all that is known of them.
        let users: Vec<(String, Vec<String>)> = reference
            .people
            .iter()
            .filter(|(site, _)| site == "s0")
            .map(|person| {
                let known = reference.pairs.get(person).into_iter().flatten().map(|(item, _)| item.clone());
                (person.1.clone(), known.filter(|item| training_items.contains_key(item)).collect())
            })
            .collect();
        let got: Vec<(String, Vec<String>)> = tenant
            .iter()
            .map(|(user, items, _)| {
                let mut items = items.clone();
                items.sort();
                (user.clone(), items)
            })
            .collect();
        prop_assert_eq!(got, users);
        for (user, items, cold) in &tenant {
            let in_core = reference.core.contains_key(&("s0".to_owned(), user.clone()));
            prop_assert_eq!(*cold, !in_core || items.is_empty());
        }
    }

    #[test]
    fn leave_last_out_hides_the_two_newest(rows in rows(), minimum in (1usize..4, 1usize..4)) {
        let reference = Reference::of(&rows, minimum.0, minimum.1);
        let Some(Ran { snapshot, .. }) = run(&rows, minimum, "Binary", json!({"type": "leaveLastOut"})) else {
            return Ok(());
        };
        let mut expected = Snapshot {
            items: BTreeMap::new(),
            training: BTreeMap::new(),
            validation: BTreeMap::new(),
            test: BTreeMap::new(),
        };
        let mut newest = BTreeMap::new();
        let one = |items: &[String]| items.iter().map(|item| (item.clone(), 1.0)).collect::<Weighted>();
        for (key, items) in reference.by_key() {
            let mut by_time: Vec<(usize, String)> =
                items.iter().map(|(item, (_, time))| (*time, item.clone())).collect();
            by_time.sort_unstable();
            let mut items: Vec<String> = by_time.into_iter().map(|(_, item)| item).collect();
            if items.len() >= 3 {
                newest.insert(key, items.split_off(items.len() - 2));
            }
            for item in &items {
                *expected.items.entry(item.clone()).or_default() += 1;
            }
            expected.training.insert(key, one(&items));
        }
        for (key, last) in newest {
            let fold_in = expected.training[&key].clone();
            if expected.items.contains_key(&last[0]) {
                expected.validation.insert(key, (fold_in.clone(), one(&last[..1])));
            }
            if expected.items.contains_key(&last[1]) {
                let mut fold_in = fold_in;
                if expected.items.contains_key(&last[0]) {
                    fold_in.insert(last[0].clone(), 1.0);
                }
                expected.test.insert(key, (fold_in, one(&last[1..])));
            }
        }
        prop_assert_eq!(snapshot, expected);
    }
}
