//! A log of numbered objects, each created if absent: what the run log and a tenant's output log have in common.

use futures::future::try_join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Created, StorageError, Store};

/// Most entries read at once.
const WIDEST_WINDOW: u64 = 16;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It stands at this index.
    At(u64),
    /// Others were there first: what they wrote is read now, and the caller has to decide anew.
    Overtaken,
}

/// All entries of a log that have been read, from the first.
#[derive(Clone, Debug)]
pub(crate) struct Sequence<E> {
    store: Store,
    entries: Vec<E>,
}

impl<E: Serialize + DeserializeOwned> Sequence<E> {
    /// Reads the log in `store`.
    pub(crate) async fn open(store: Store) -> Result<Self, StorageError> {
        let mut sequence = Sequence { store, entries: Vec::new() };
        sequence.refresh().await?;
        Ok(sequence)
    }

    pub(crate) fn entries(&self) -> &[E] {
        &self.entries
    }

    /// Reads what has been added. Stops at the first index that is free: what lies behind it isn't part of the log yet.
    pub(crate) async fn refresh(&mut self) -> Result<(), StorageError> {
        let mut window = 1;
        loop {
            let next = self.entries.len() as u64;
            let store = &self.store;
            let found = try_join_all(
                (next..next + window).map(|index| async move { store.get_json::<E>(&name(index)).await }),
            )
            .await?;
            for entry in found {
                match entry {
                    Some(entry) => self.entries.push(entry),
                    None => return Ok(()),
                }
            }
            window = (window * 2).min(WIDEST_WINDOW);
        }
    }

    /// Tries to write `entry` right behind all that has been read.
    pub(crate) async fn append(&mut self, entry: E) -> Result<Appended, StorageError> {
        let index = self.entries.len() as u64;
        match self.store.create(&name(index), crate::manifest::to_json(&entry)?).await? {
            Created::Created => {
                self.entries.push(entry);
                Ok(Appended::At(index))
            }
            Created::Exists(_) => {
                self.refresh().await?;
                Ok(Appended::Overtaken)
            }
        }
    }
}

fn name(index: u64) -> String {
    format!("{index:08}.json")
}
