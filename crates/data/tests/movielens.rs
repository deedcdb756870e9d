//! MovieLens-100k as RecBole's atomic files, where `TEASEL_MOVIELENS` names their folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::{Folder, snapshot, tenant, tenant_users};
use serde_json::json;
use teasel_data::Dataset;

/// People with at least five ratings of 4 or 5, counted by another program.
const EXPECTED_USERS: u64 = 938;

#[tokio::test(flavor = "multi_thread")]
async fn movielens_is_prepared_as_its_example_says() {
    let Some(source) = std::env::var_os("TEASEL_MOVIELENS").map(PathBuf::from) else {
        eprintln!("skipped: TEASEL_MOVIELENS is not set");
        return;
    };
    let folder = Folder::new();
    for name in ["interactions.inter", "movies.item"] {
        folder.raw(name, std::fs::read(source.join(name)).unwrap());
    }
    let data = folder.data("interactions.inter", |data| {
        data["interactions"]["columns"] = json!({
            "user": "user_id", "item": "item_id", "event": null, "rating": "rating", "timestamp": "timestamp",
            "tenant": "site",
        });
        data["interactions"]["minimumRating"] = json!(4);
        data["items"] = json!({
            "location": {"uri": folder.uri("raw/movies.item")}, "format": null, "categorySeparator": " ",
            "columns": {"item": "item_id", "text": ["movie_title", "release_year"], "image": null, "categories": "class"},
        });
        data["minimumInteractions"] = json!({"user": 5, "item": 1});
        data["split"] =
            json!({"type": "strongGeneralization", "seed": 1, "validation": 0.1, "test": 0.1, "heldOut": 0.2});
    });
    let tenants = [tenant("campus", "campus"), tenant("city", "city")];
    let prepared = folder.prepare(&data, &tenants).await.unwrap();
    let report = &prepared.report;
    assert_eq!((report.rows, report.dropped.low_ratings, report.raw_users), (100_000, 44_625, 943));
    assert_eq!(report.users, EXPECTED_USERS);
    assert_eq!(report.training_users + report.validation_users + report.test_users, report.users);
    assert!((70..120).contains(&report.validation_users), "{}", report.validation_users);
    assert!((70..120).contains(&report.test_users), "{}", report.test_users);

    let storage = folder.storage();
    let campus = tenant_users(&storage, &prepared.fingerprint, "campus", 2, 64).await;
    let city = tenant_users(&storage, &prepared.fingerprint, "city", 1, 64).await;
    assert_eq!(campus.len() + city.len(), 943);
    assert_eq!(prepared.tenants.iter().map(|tenant| tenant.cold_users).sum::<u64>(), 943 - EXPECTED_USERS);

    let dataset = Dataset::open(&storage, &prepared.fingerprint).await.unwrap();
    let catalogue = dataset.catalogue().await.unwrap();
    let star_wars = catalogue.index()["50"] as usize;
    assert_eq!(catalogue.texts[star_wars].as_deref(), Some("Star Wars\n1977"));
    assert!(catalogue.categories[star_wars].iter().any(|category| category == "Sci-Fi"));

    let snapshot = snapshot(&storage, &prepared.fingerprint).await;
    assert!(snapshot.test.values().all(|(fold_in, held_out)| {
        let all = fold_in.len() + held_out.len();
        held_out.len() == (all as f64 * 0.2 + 1e-9) as usize || held_out.len() == 1
    }));
}
