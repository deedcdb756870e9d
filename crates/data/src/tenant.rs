//! A tenant's users, as scoring reads them.

use futures::Stream;
use futures::stream::{self, StreamExt};
use teasel_storage::Store;

use crate::manifest::{TenantManifest, open_manifest, tenant_folder};
use crate::write::{Table, UserRow, batches, read_table, visit_batch};
use crate::{Csr, DataError};

/// All raw users of a tenant, ordered by id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantUsers {
    store: Store,
    manifest: TenantManifest,
}

/// Some users.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantBatch {
    /// Ids, as in the raw files.
    pub users: Vec<String>,
    /// Stable keys.
    pub keys: Vec<u64>,
    /// Known items of each user; a row may be empty.
    pub interactions: Csr,
    /// What each user has of the items that nobody trains with: indices into the dataset's cold catalogue.
    pub cold_items: Csr,
    /// Users that the filters removed, or of whom no item is known: the model wasn't made for them.
    pub cold: Vec<bool>,
}

impl TenantBatch {
    fn empty(weighted: bool) -> Self {
        TenantBatch {
            users: Vec::new(),
            keys: Vec::new(),
            interactions: Csr::empty(weighted),
            cold_items: Csr::empty(false),
            cold: Vec::new(),
        }
    }

    fn push(&mut self, row: UserRow<'_>) {
        self.users.push(row.user.to_owned());
        self.keys.push(row.key);
        self.interactions.push(row.items, row.weights);
        self.cold_items.push(row.cold_items, None);
        self.cold.push(row.cold);
    }
}

impl TenantUsers {
    /// Opens the users of `tenant` for the dataset of this name.
    ///
    /// # Errors
    /// [`DataError::NotPrepared`] where there are none, [`DataError::Configuration`] where another release prepared
    /// them.
    pub async fn open(storage: &Store, tenant: &str, fingerprint: &str) -> Result<Self, DataError> {
        let folder = tenant_folder(storage, tenant, fingerprint).await?;
        let store = storage.sub(&folder);
        let manifest: TenantManifest = open_manifest(&store, |manifest: &TenantManifest| manifest.version).await?;
        Ok(TenantUsers { store, manifest })
    }

    /// Number of users.
    pub fn users(&self) -> u64 {
        self.manifest.users
    }

    /// Number of cold users.
    pub fn cold_users(&self) -> u64 {
        self.manifest.cold_users
    }

    /// Number of users of shard `shard` of `shards`.
    pub fn shard_users(&self, shard: u32, shards: u32) -> u64 {
        let (first, end) = bounds(self.manifest.users, shard, shards);
        end - first
    }

    /// The users of shard `shard` of `shards`, ascending by the bytes of their ids, `batch_users` at a time (the last
    /// of a file may be fewer). Shards are consecutive ranges of users. One file is in memory at a time.
    pub fn stream(
        &self,
        shard: u32,
        shards: u32,
        batch_users: usize,
    ) -> impl Stream<Item = Result<TenantBatch, DataError>> + Send + 'static {
        let (first, end) = bounds(self.manifest.users, shard, shards);
        let users = self.clone();
        let mut before = 0;
        // The rows of each part that the shard takes.
        let mut wanted = Vec::new();
        for (part, meta) in self.manifest.parts.iter().enumerate() {
            let (from, to) = (first.max(before), end.min(before + meta.users));
            if from < to {
                wanted.push((part, from - before, to - before));
            }
            before += meta.users;
        }
        stream::iter(wanted)
            .then(move |(part, from, to)| {
                let users = users.clone();
                async move { users.part(part, from, to, batch_users.max(1)).await }
            })
            .flat_map(|opened| match opened {
                Ok(batches) => batches,
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
    }

    /// One user; `None` where the tenant has no such user.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(&self, user: &str) -> Result<Option<TenantBatch>, DataError> {
        let part = self.manifest.parts.partition_point(|part| part.last_user.as_str() < user);
        let Some(part) = self.manifest.parts.get(part) else { return Ok(None) };
        let bytes = self.store.get_checked(&part.file).await?;
        let mut found = TenantBatch::empty(self.manifest.weighted);
        let uri = self.store.uri_of(&part.file.name);
        read_table(bytes, &uri, Table::Tenant, self.manifest.weighted, |row| {
            if row.user == user {
                found.push(row);
            }
        })?;
        Ok(Some(found).filter(|found| !found.users.is_empty()))
    }

    /// Rows `from..to` of a part, in batches.
    async fn part(
        &self,
        part: usize,
        from: u64,
        to: u64,
        batch_users: usize,
    ) -> Result<stream::BoxStream<'static, Result<TenantBatch, DataError>>, DataError> {
        let Some(part) = self.manifest.parts.get(part) else { return Ok(stream::empty().boxed()) };
        let bytes = self.store.get_checked(&part.file).await?;
        let uri = self.store.uri_of(&part.file.name);
        let weighted = self.manifest.weighted;
        let mut row_number = 0;
        let read = batches(bytes, &uri, batch_users)?;
        let taken = read.map(move |batch| {
            let mut taken = TenantBatch::empty(weighted);
            visit_batch(&batch?, &uri, Table::Tenant, weighted, &mut |row| {
                if (from..to).contains(&row_number) {
                    taken.push(row);
                }
                row_number += 1;
            })?;
            Ok(taken)
        });
        let filled = taken.filter(|batch: &Result<TenantBatch, DataError>| {
            batch.as_ref().map_or(true, |batch| !batch.users.is_empty())
        });
        Ok(stream::iter(filled).boxed())
    }
}

/// The range of users of a shard.
fn bounds(users: u64, shard: u32, shards: u32) -> (u64, u64) {
    let bound = |shard: u64| {
        let shards = u64::from(shards.max(1));
        (u128::from(users) * u128::from(shard.min(shards)) / u128::from(shards)) as u64
    };
    (bound(shard.into()), bound(u64::from(shard) + 1))
}
