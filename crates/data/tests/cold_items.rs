//! Items that nobody trains with: they are kept with what is said of them, and people with what they have of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Folder;
use futures::TryStreamExt;
use serde_json::json;
use teasel_api::resolved::Data;
use teasel_api::task::TenantSelector;
use teasel_data::{Dataset, HeldOutSet, TenantUsers, VIRTUAL_SHARDS};

/// A hundred people with ten of thirty items each; `unseen` is nobody's, and the last of the thirty isn't described.
fn folder() -> Folder {
    let folder = Folder::new();
    let rows = (0..100).flat_map(|user| (0..10).map(move |place| (user, (user * 7 + place * 3) % 30)));
    let rows: String = rows.map(|(user, item)| format!("u{user},i{item:02}\n")).collect();
    folder.raw("pairs.csv", format!("user,item\n{rows}"));
    let items: String = (0..29).map(|item| format!("i{item:02},title {item}\n")).collect();
    folder.raw("items.csv", format!("item,title\n{items}unseen,a new one\nbare,\n"));
    folder
}

fn data(folder: &Folder, cold: f64) -> Data {
    folder.data("pairs.csv", |data| {
        data["items"] = json!({
            "location": {"uri": folder.uri("raw/items.csv")}, "format": null,
            "columns": {"item": "item", "text": ["title"], "image": null, "categories": null},
            "categorySeparator": "|",
        });
        data["split"]["coldItems"] = json!(cold);
    })
}

fn everybody() -> TenantSelector {
    TenantSelector { name: "all".into(), value: "all".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_nobody_trains_with_are_kept_with_their_texts_and_their_people() {
    let folder = folder();
    let prepared = folder.prepare(&data(&folder, 0.3), &[everybody()]).await.unwrap();
    let dataset = Dataset::open(&folder.storage(), &prepared.fingerprint).await.unwrap();
    let (trained, cold) = (dataset.catalogue().await.unwrap(), dataset.cold_catalogue().await.unwrap());
    assert!(cold.ids.contains(&"unseen".to_owned()) && !cold.ids.contains(&"bare".to_owned()), "{:?}", cold.ids);
    assert!((4..16).contains(&cold.len()) && cold.ids.is_sorted(), "{:?}", cold.ids);
    assert!(trained.ids.iter().all(|id| !cold.ids.contains(id)));
    assert_eq!(prepared.report.cold_items as usize, cold.len());
    assert!(cold.texts.iter().all(Option::is_some) && cold.counts.iter().all(|count| *count == 0));
    let known: BTreeSet<&String> = trained.ids.iter().chain(&cold.ids).collect();

    // Nobody trains with a cold item, and all that a person has is known of either kind.
    let training = dataset.training(0..VIRTUAL_SHARDS).await.unwrap();
    assert!(training.interactions.items.iter().all(|item| (*item as usize) < trained.len()));
    let users = TenantUsers::open(&folder.storage(), "all", &prepared.fingerprint).await.unwrap();
    let batches: Vec<_> = users.stream(0, 1, 64).try_collect().await.unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for batch in &batches {
        for (row, user) in batch.users.iter().enumerate() {
            let own = batch.interactions.row(row).iter().map(|item| trained.ids[*item as usize].clone());
            let cold = batch.cold_items.row(row).iter().map(|item| cold.ids[*item as usize].clone());
            found.insert(user.clone(), own.chain(cold).collect());
        }
    }
    for user in 0..100 {
        let all = (0..10).map(|place| format!("i{:02}", (user * 7 + place * 3) % 30));
        let expected: BTreeSet<String> = all.filter(|item| known.contains(item)).collect();
        assert_eq!(found[&format!("u{user}")], expected);
    }

    for set in [HeldOutSet::Validation, HeldOutSet::Test] {
        let (held_out, asked) =
            (dataset.held_out(set).await.unwrap(), dataset.held_out_cold_items(set).await.unwrap());
        assert_eq!(asked.users(), held_out.users());
        assert!(!asked.items.is_empty() && asked.items.iter().all(|item| (*item as usize) < cold.len()));
        assert!(
            held_out
                .held_out
                .items
                .iter()
                .chain(&held_out.fold_in.items)
                .all(|item| (*item as usize) < trained.len())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_have_low_ratings_alone_are_not_new() {
    let folder = folder();
    let rows: String = (0..100)
        .flat_map(|user| (0..10).map(move |place| (user, (user * 7 + place * 3) % 30)))
        .map(|(user, item)| format!("u{user},i{item:02},{}\n", if item == 4 { 2 } else { 5 }))
        .collect();
    folder.raw("rated.csv", format!("user,item,rating\n{rows}u1,unseen2,1\n"));
    let mut data = data(&folder, 0.3);
    data.interactions.location.uri = folder.uri("raw/rated.csv");
    data.interactions.columns.rating = Some("rating".into());
    data.interactions.minimum_rating = Some(4.0);
    let prepared = folder.prepare(&data, &[]).await.unwrap();
    let dataset = Dataset::open(&folder.storage(), &prepared.fingerprint).await.unwrap();
    let cold = dataset.cold_catalogue().await.unwrap().ids;
    assert!(cold.contains(&"unseen".to_owned()) && !cold.contains(&"i04".to_owned()), "{cold:?}");
    assert!(cold.len() > 3, "those that are held out have good ratings too");
}

#[tokio::test(flavor = "multi_thread")]
async fn which_items_are_cold_depends_on_them_and_the_seed_alone() {
    let folder = folder();
    let mut cold = Vec::new();
    for share in [0.2, 0.4] {
        let prepared = folder.prepare(&data(&folder, share), &[]).await.unwrap();
        let dataset = Dataset::open(&folder.storage(), &prepared.fingerprint).await.unwrap();
        cold.push(dataset.cold_catalogue().await.unwrap().ids.into_iter().collect::<BTreeSet<_>>());
    }
    assert!(cold[0].len() < cold[1].len() && cold[0].is_subset(&cold[1]), "{cold:?}");
}
