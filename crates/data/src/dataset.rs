//! The prepared dataset, as training and evaluation read it.

use std::ops::Range;

use teasel_api::outcome::Usage;
use teasel_storage::Store;

use crate::manifest::{DatasetManifest, dataset_folder, open_manifest};
use crate::plan::shard_of;
use crate::report::Report;
use crate::write::{Table, UserRow, read_table};
use crate::{BatchPlan, Catalogue, Csr, DataError, TrainingUsers};

/// A prepared dataset. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dataset {
    store: Store,
    fingerprint: String,
    manifest: DatasetManifest,
}

/// Which held-out users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldOutSet {
    /// Those that choose between models.
    Validation,
    /// Those that judge the chosen one.
    Test,
}

/// Held-out users, ordered by tenant and user.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// Stable key of each user.
    pub keys: Vec<u64>,
    /// What the model sees; at least one item of each user.
    pub fold_in: Csr,
    /// What it is asked for; at least one item of each user, none of which is in `fold_in`. Never weighted.
    pub held_out: Csr,
}

impl HeldOut {
    /// Number of users.
    pub fn users(&self) -> usize {
        self.keys.len()
    }

    /// These users, in this order. Those past the last are left out.
    pub fn pick(&self, users: &[usize]) -> Self {
        let users: Vec<usize> = users.iter().copied().filter(|user| *user < self.users()).collect();
        HeldOut {
            keys: users.iter().map(|user| self.keys[*user]).collect(),
            fold_in: self.fold_in.pick(&users),
            held_out: self.held_out.pick(&users),
        }
    }
}

impl Dataset {
    /// Opens the dataset of this name.
    ///
    /// # Errors
    /// [`DataError::NotPrepared`] where there is none, [`DataError::Configuration`] where another release prepared it.
    pub async fn open(storage: &Store, fingerprint: &str) -> Result<Self, DataError> {
        let folder = dataset_folder(storage, fingerprint).await?;
        let store = storage.sub(&folder);
        let manifest: DatasetManifest =
            open_manifest(&store, |manifest: &DatasetManifest| manifest.version).await?;
        Ok(Dataset { store, fingerprint: fingerprint.to_owned(), manifest })
    }

    /// The dataset's name.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Size of the vocabulary.
    pub fn items(&self) -> usize {
        self.manifest.items as usize
    }

    /// Size of the [`Self::cold_catalogue`].
    pub fn cold_items(&self) -> usize {
        self.manifest.cold_items as usize
    }

    /// Number of training users.
    pub fn training_users(&self) -> u64 {
        self.manifest.shard_users.iter().sum()
    }

    /// What preparing it took. Unset where an earlier release did.
    pub fn preparation(&self) -> Option<Usage> {
        self.manifest.preparation
    }

    /// The batches of `batch_size` users over all ranks.
    pub fn plan(&self, batch_size: u32, seed: u64) -> BatchPlan {
        BatchPlan::new(self.manifest.shard_users.clone(), batch_size, seed)
    }

    /// The data report.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn report(&self) -> Result<Report, DataError> {
        let bytes = self.store.get_checked(&self.manifest.report).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| DataError::corrupt(&self.store.uri_of(&self.manifest.report.name), error))
    }

    /// The vocabulary with metadata.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn catalogue(&self) -> Result<Catalogue, DataError> {
        let file = &self.manifest.catalogue;
        Catalogue::from_parquet(self.store.get_checked(file).await?, &self.store.uri_of(&file.name))
    }

    /// Items of the item files that have a text or an image and no training user, by their ids. There are none where an
    /// earlier release prepared the dataset.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn cold_catalogue(&self) -> Result<Catalogue, DataError> {
        match &self.manifest.cold_catalogue {
            None => Ok(Catalogue::default()),
            Some(file) => {
                Catalogue::from_parquet(self.store.get_checked(file).await?, &self.store.uri_of(&file.name))
            }
        }
    }

    /// The training users of `shards`: [`shards_of`](crate::shards_of) a rank, or `0..VIRTUAL_SHARDS`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn training(&self, shards: Range<u32>) -> Result<TrainingUsers, DataError> {
        let mut keys = Vec::new();
        let mut interactions = Csr::empty(self.manifest.weighted);
        for part in &self.manifest.users {
            if part.end_shard <= shards.start || shards.end <= part.first_shard {
                continue;
            }
            let bytes = self.store.get_checked(&part.file).await?;
            let uri = self.store.uri_of(&part.file.name);
            read_table(bytes, &uri, Table::Training, self.manifest.weighted, |row| {
                if shards.contains(&shard_of(row.key)) {
                    keys.push(row.key);
                    interactions.push(row.items, row.weights);
                }
            })?;
        }
        Ok(TrainingUsers::new(keys, interactions, shards))
    }

    /// Held-out users.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn held_out(&self, set: HeldOutSet) -> Result<HeldOut, DataError> {
        let mut read =
            HeldOut { keys: Vec::new(), fold_in: Csr::empty(self.manifest.weighted), held_out: Csr::empty(false) };
        self.visit_held_out(set, |row| {
            read.keys.push(row.key);
            read.fold_in.push(row.items, row.weights);
            read.held_out.push(row.held_out, None);
        })
        .await?;
        Ok(read)
    }

    /// What each of the held-out users, in their order, has of the items that nobody trains with: indices into the
    /// [`Self::cold_catalogue`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn held_out_cold_items(&self, set: HeldOutSet) -> Result<Csr, DataError> {
        let mut found = Csr::empty(false);
        self.visit_held_out(set, |row| found.push(row.cold_items, None)).await?;
        Ok(found)
    }

    /// Which of the held-out users belong to each value of the tenant column, in their order. One empty value has all of
    /// them where there is no such column, or an earlier release prepared them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn held_out_tenants(&self, set: HeldOutSet) -> Result<Vec<(String, Range<usize>)>, DataError> {
        let mut found: Vec<(String, Range<usize>)> = Vec::new();
        self.visit_held_out(set, |row| match found.last_mut() {
            Some((tenant, users)) if tenant == row.tenant => users.end += 1,
            _ => {
                let start = found.last().map_or(0, |(_, users)| users.end);
                found.push((row.tenant.to_owned(), start..start + 1));
            }
        })
        .await?;
        Ok(found)
    }

    async fn visit_held_out(&self, set: HeldOutSet, visit: impl FnMut(UserRow<'_>)) -> Result<(), DataError> {
        let file = match set {
            HeldOutSet::Validation => &self.manifest.validation,
            HeldOutSet::Test => &self.manifest.test,
        };
        let bytes = self.store.get_checked(file).await?;
        read_table(bytes, &self.store.uri_of(&file.name), Table::HeldOut, self.manifest.weighted, visit)
    }
}
