//! What is prepared stays prepared; new tenants are added to it; new input is a new dataset.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Folder, tenant, tenant_users};
use serde_json::json;
use teasel_data::{DataError, Dataset, TenantUsers, is_prepared, read_item_ids};

fn rows(sites: &[&str]) -> String {
    let rows: String = (0..400)
        .map(|row: usize| format!("u{},i{},{}\n", row % 40, row * 31 % 17, sites[row % 40 % sites.len()]))
        .collect();
    format!("user,item,site\n{rows}")
}

#[tokio::test(flavor = "multi_thread")]
async fn preparing_again_does_nothing_and_a_late_tenant_is_added() {
    let folder = Folder::new();
    folder.raw("x.csv", rows(&["north", "south"]));
    let data = folder.data("x.csv", |data| data["interactions"]["columns"]["tenant"] = json!("site"));
    let (north, south) = (tenant("north", "north"), tenant("sued", "south"));

    let first = folder.prepare(&data, std::slice::from_ref(&north)).await.unwrap();
    assert!(first.dataset_made && first.tenants[0].made);
    let before = folder.files("storage");
    assert!(!is_prepared(&folder.storage(), &first.fingerprint, &[north.clone(), south.clone()]).await.unwrap());

    let again = folder.prepare(&data, std::slice::from_ref(&north)).await.unwrap();
    assert!(!again.dataset_made && !again.tenants[0].made);
    assert_eq!((again.fingerprint.as_str(), &again.report), (first.fingerprint.as_str(), &first.report));
    assert_eq!(folder.files("storage"), before);

    let late = folder.prepare(&data, &[north.clone(), south.clone()]).await.unwrap();
    assert!(!late.dataset_made && !late.tenants[0].made && late.tenants[1].made);
    assert_eq!(late.fingerprint, first.fingerprint);
    let after = folder.files("storage");
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert!(is_prepared(&folder.storage(), &first.fingerprint, &[north, south]).await.unwrap());
    assert_eq!(tenant_users(&folder.storage(), &first.fingerprint, "sued", 1, 7).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_input_is_another_dataset() {
    let folder = Folder::new();
    folder.raw("x.csv", rows(&["a"]));
    let data = folder.data("x.csv", |_| {});
    let first = folder.prepare(&data, &[]).await.unwrap();
    folder.raw("x.csv", rows(&["a"]) + "new,i1,a\n");
    let second = folder.prepare(&data, &[]).await.unwrap();
    assert_ne!(first.fingerprint, second.fingerprint);
    assert_eq!(second.report.raw_users, first.report.raw_users + 1);
    let other = folder.data("x.csv", |data| data["minimumInteractions"]["user"] = json!(2));
    assert_ne!(folder.prepare(&other, &[]).await.unwrap().fingerprint, second.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_column_every_tenant_has_everybody() {
    let folder = Folder::new();
    folder.raw("x.csv", rows(&["a"]));
    let data = folder.data("x.csv", |_| {});
    let prepared = folder.prepare(&data, &[tenant("one", "one"), tenant("two", "two")]).await.unwrap();
    let storage = folder.storage();
    let one = tenant_users(&storage, &prepared.fingerprint, "one", 1, 1000).await;
    assert_eq!(one.len(), 40);
    assert_eq!(tenant_users(&storage, &prepared.fingerprint, "two", 5, 3).await, one);
    assert!(one.is_sorted_by_key(|(user, ..)| user.clone()));

    let users = TenantUsers::open(&storage, "one", &prepared.fingerprint).await.unwrap();
    let found = users.find("u7").await.unwrap().unwrap();
    assert_eq!(found.users, ["u7"]);
    assert!(users.find("nobody").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_prepared_file_is_noticed() {
    let folder = Folder::new();
    folder.raw("x.csv", rows(&["a"]));
    let prepared = folder.prepare(&folder.data("x.csv", |_| {}), &[]).await.unwrap();
    let dataset = Dataset::open(&folder.storage(), &prepared.fingerprint).await.unwrap();
    let root = folder.path("storage").join("datasets").join(&prepared.fingerprint);
    let nonce =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let items = nonce.join("items.parquet");
    let mut bytes = std::fs::read(&items).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&items, bytes).unwrap();
    let error = dataset.catalogue().await.unwrap_err();
    assert_eq!(error.reason(), "FileDamaged", "{error}");
    assert!(error.to_string().contains("items.parquet"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_nobody_prepared_is_missing() {
    let folder = Folder::new();
    let error = Dataset::open(&folder.storage(), "0123").await.unwrap_err();
    assert!(matches!(error, DataError::NotPrepared { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_list_is_read_from_its_item_column_or_the_first() {
    let folder = Folder::new();
    folder
        .raw("list/a.csv", "title,item\nOne,i1\n")
        .raw("list/b.csv", "title,item_id\nTwo,i2\n")
        .raw("list/c.csv", "film,title\ni3,Three\n");
    let ids = read_item_ids(&folder.storage_named("raw/list")).await.unwrap();
    assert_eq!(ids, ["i1", "i2", "i3"]);
}
