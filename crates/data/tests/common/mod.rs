//! A folder with raw files, prepared and read back.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use serde_json::{Value, json};
use teasel_api::location::Location;
use teasel_api::outcome::Usage;
use teasel_api::resolved::Data;
use teasel_api::task::TenantSelector;
use teasel_data::{
    Csr, DataError, Dataset, HeldOut, HeldOutSet, Options, Places, Prepared, Progress, TenantUsers, VIRTUAL_SHARDS,
    prepare,
};
use teasel_storage::{Credentials, Store};

/// What every preparation took.
const USAGE: Usage = Usage { seconds: 2.0, peak_memory_bytes: Some(1 << 20) };

/// A temporary folder with raw files in `raw/`.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("raw")).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a raw file.
    pub(crate) fn raw(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Folder {
        let path = self.path("raw").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(crate) fn storage(&self) -> Store {
        self.storage_named("storage")
    }

    pub(crate) fn storage_named(&self, name: &str) -> Store {
        let location = Location { uri: self.uri(name), secret_ref: None };
        Store::open(&location, &Credentials::none()).unwrap()
    }

    /// A job's data that reads `interactions` (in `raw/`), with columns user, item, event, rating, time and site as
    /// `change` leaves them.
    pub(crate) fn data(&self, interactions: &str, change: impl FnOnce(&mut Value)) -> Data {
        let mut data = json!({
            "interactions": {
                "location": {"uri": self.uri(&format!("raw/{interactions}"))},
                "format": null,
                "columns": {
                    "user": "user", "item": "item",
                    "event": null, "rating": null, "timestamp": null, "tenant": null,
                },
                "events": {},
                "minimumRating": null,
                "weighting": "Binary",
                "onBadRows": "Fail",
                "maximumBadRows": 0,
            },
            "items": null,
            "minimumInteractions": {"user": 1, "item": 1},
            "split": {"type": "strongGeneralization", "seed": 1, "validation": 0.2, "test": 0.2, "heldOut": 0.3},
        });
        change(&mut data);
        serde_json::from_value(data).unwrap()
    }

    pub(crate) async fn prepare(&self, data: &Data, tenants: &[TenantSelector]) -> Result<Prepared, DataError> {
        self.prepare_with(data, tenants, &self.storage(), 2, 256 << 20).await
    }

    pub(crate) async fn prepare_with(
        &self,
        data: &Data,
        tenants: &[TenantSelector],
        storage: &Store,
        partitions: usize,
        memory_bytes: u64,
    ) -> Result<Prepared, DataError> {
        let scratch = self.path("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        let places = Places::open_with(data, |_| Credentials::none())?;
        let options = Options { memory_bytes, scratch: scratch.clone(), partitions, usage: || USAGE };
        let prepared = prepare(data, &places, storage, tenants, &options, &Arc::new(Progress::default())).await;
        let left = std::fs::read_dir(&scratch).unwrap().count();
        assert_eq!(left, 0, "the scratch folder must be left empty");
        prepared
    }

    /// Names of all files below `storage`, with the writers' own folders left out of their paths, and their bytes.
    /// Manifests, which name those folders, aren't among them.
    pub(crate) fn files(&self, storage: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(&self.path(storage), &mut |path| {
            let relative = path.strip_prefix(self.path(storage)).unwrap();
            if relative.file_name().is_some_and(|name| name == "manifest.json") {
                return;
            }
            let is_nonce = |part: &str| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let parts: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            // The first such part is the fingerprint.
            let mut seen = false;
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|part| {
                    let nonce = is_nonce(part) && seen;
                    seen |= is_nonce(part);
                    !nonce
                })
                .collect();
            files.insert(parts.join("/"), std::fs::read(path).unwrap());
        });
        files
    }

    /// Whether anything was committed.
    pub(crate) fn is_committed(&self) -> bool {
        let mut committed = false;
        walk(&self.path("storage"), &mut |path| {
            committed |= path.file_name().is_some_and(|name| name == "manifest.json");
        });
        committed
    }
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

pub(crate) fn tenant(name: &str, value: &str) -> TenantSelector {
    TenantSelector { name: name.into(), value: value.into() }
}

/// A user's items by id with their weights.
pub(crate) type Weighted = BTreeMap<String, f32>;

/// A whole dataset by ids and user keys.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// Items with their training users.
    pub(crate) items: BTreeMap<String, u64>,
    pub(crate) training: BTreeMap<u64, Weighted>,
    /// Fold-in and held-out items.
    pub(crate) validation: BTreeMap<u64, (Weighted, Weighted)>,
    pub(crate) test: BTreeMap<u64, (Weighted, Weighted)>,
}

pub(crate) async fn snapshot(storage: &Store, fingerprint: &str) -> Snapshot {
    let dataset = Dataset::open(storage, fingerprint).await.unwrap();
    let catalogue = dataset.catalogue().await.unwrap();
    assert_eq!(dataset.items(), catalogue.len());
    let training = dataset.training(0..VIRTUAL_SHARDS).await.unwrap();
    let ids = &catalogue.ids;
    let training_users = training
        .keys
        .iter()
        .enumerate()
        .map(|(user, key)| (*key, weighted(ids, &training.interactions, user)))
        .collect();
    let validation = dataset.held_out(HeldOutSet::Validation).await.unwrap();
    let test = dataset.held_out(HeldOutSet::Test).await.unwrap();
    Snapshot {
        items: ids.iter().cloned().zip(catalogue.counts.iter().copied()).collect(),
        training: training_users,
        validation: held_out(ids, &validation),
        test: held_out(ids, &test),
    }
}

fn held_out(ids: &[String], users: &HeldOut) -> BTreeMap<u64, (Weighted, Weighted)> {
    (0..users.users())
        .map(|user| (users.keys[user], (weighted(ids, &users.fold_in, user), weighted(ids, &users.held_out, user))))
        .collect()
}

/// A row of a matrix by item id; items must ascend.
pub(crate) fn weighted(ids: &[String], lists: &Csr, user: usize) -> Weighted {
    let items = lists.row(user);
    assert!(items.is_sorted_by(|left, right| left < right), "items must ascend and be distinct: {items:?}");
    let weights = lists.row_weights(user);
    items
        .iter()
        .enumerate()
        .map(|(position, item)| (ids[*item as usize].clone(), weights.map_or(1.0, |weights| weights[position])))
        .collect()
}

/// Everybody of a tenant, in order: id, item ids, and whether cold.
pub(crate) async fn tenant_users(
    storage: &Store,
    fingerprint: &str,
    tenant: &str,
    shards: u32,
    batch_users: usize,
) -> Vec<(String, Vec<String>, bool)> {
    let catalogue = Dataset::open(storage, fingerprint).await.unwrap().catalogue().await.unwrap();
    let users = TenantUsers::open(storage, tenant, fingerprint).await.unwrap();
    let mut all = Vec::new();
    for shard in 0..shards {
        let batches: Vec<_> = users.stream(shard, shards, batch_users).try_collect().await.unwrap();
        let mut of_shard = 0;
        for batch in batches {
            assert!(!batch.users.is_empty() && batch.users.len() <= batch_users);
            of_shard += batch.users.len() as u64;
            for (user, id) in batch.users.iter().enumerate() {
                let items: Vec<String> =
                    batch.interactions.row(user).iter().map(|item| catalogue.ids[*item as usize].clone()).collect();
                all.push((id.clone(), items, batch.cold[user]));
            }
        }
        assert_eq!(of_shard, users.shard_users(shard, shards));
    }
    all
}
