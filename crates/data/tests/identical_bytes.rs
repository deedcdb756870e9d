//! The same bytes come out whatever the number of partitions and the memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, tenant};
use rstest::rstest;
use serde_json::json;
use teasel_api::resolved::Data;
use teasel_synthetic::{Generator, Options};

/// Writes generated interactions as several files, cut at odd places, and their items.
fn generate(folder: &Folder, interactions: u64) {
    let options = Options { users: 2_000, items: 300, facets: 5, interactions, seed: 11, tenants: 3 };
    let generator = Generator::new(options).unwrap();
    let mut rows = Vec::new();
    teasel_synthetic::write_interactions(&generator, &mut rows).unwrap();
    let text = String::from_utf8(rows).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    // Dealt round: every user's rows lie in every file.
    let files = 5;
    for file in 0..files {
        let share: Vec<&str> = rows.lines().skip(file).step_by(files).collect();
        folder.raw(&format!("rows/{file}.csv"), format!("{header}\n{}\n", share.join("\n")));
    }
    let mut items = Vec::new();
    teasel_synthetic::write_items(&generator, &mut items).unwrap();
    folder.raw("items.csv", items);
}

fn data(folder: &Folder, split: serde_json::Value) -> Data {
    folder.data("rows/", |data| {
        data["interactions"]["columns"] = json!({
            "user": "user_id", "item": "item_id", "event": "event", "rating": "rating", "timestamp": "timestamp",
            "tenant": "tenant",
        });
        data["interactions"]["events"] = json!({"view": 0.1, "click": 0.7, "buy": 3.3});
        data["interactions"]["weighting"] = json!("Log");
        data["minimumInteractions"] = json!({"user": 3, "item": 3});
        data["items"] = json!({
            "location": {"uri": folder.uri("raw/items.csv")}, "format": null, "categorySeparator": "|",
            "columns": {"item": "item_id", "text": ["title", "text"], "image": null, "categories": "categories"},
        });
        data["split"] = split;
    })
}

#[rstest]
#[case::strong_generalization(
    json!({"type": "strongGeneralization", "seed": 3, "validation": 0.1, "test": 0.1, "heldOut": 0.2})
)]
#[case::leave_last_out(json!({"type": "leaveLastOut"}))]
#[tokio::test(flavor = "multi_thread")]
async fn one_two_and_eight_partitions_give_the_same_bytes(#[case] split: serde_json::Value) {
    let folder = Folder::new();
    generate(&folder, 30_000);
    let data = data(&folder, split);
    let tenants = [tenant("first", "tenant-1"), tenant("second", "tenant-2")];
    let mut all = Vec::new();
    for partitions in [1, 2, 8] {
        let name = format!("storage-{partitions}");
        folder.prepare_with(&data, &tenants, &folder.storage_named(&name), partitions, 256 << 20).await.unwrap();
        all.push(folder.files(&name));
    }
    assert!(all[0].keys().any(|name| name.ends_with("items.parquet")), "{:?}", all[0].keys());
    assert!(all[0].keys().any(|name| name.starts_with("tenants/second/")), "{:?}", all[0].keys());
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn spilling_to_disk_changes_nothing() {
    let folder = Folder::new();
    generate(&folder, 400_000);
    let data = data(&folder, json!({"type": "leaveLastOut"}));
    // Rows that just fit are as hard as rows that do not: merging them takes memory of its own.
    for (name, memory) in [("ample", 1 << 30), ("scarce", 24 << 20), ("tight", 40 << 20), ("close", 56 << 20)] {
        folder.prepare_with(&data, &[], &folder.storage_named(name), 2, memory).await.unwrap();
    }
    for other in ["scarce", "tight", "close"] {
        assert_eq!(folder.files("ample"), folder.files(other));
    }
}
