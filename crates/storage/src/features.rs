//! `features/<encoder>/`: vectors of items' contents, by the contents' hashes, whoever made them.

use serde::{Deserialize, Serialize};

use crate::manifest::File;
use crate::sequence::{Appended, Sequence};
use crate::{StorageError, Store};

/// Contents that were read together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeaturePart {
    /// The vectors, by its name in the encoder's folder. Unset where nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// Hashes of the contents, in the order of the file's rows.
    pub contents: Vec<String>,
    /// Hashes of contents that can't be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Of the writer.
    pub nonce: String,
}

/// The features that one encoder has made so far. Any number of writers may add to them.
#[derive(Clone, Debug)]
pub struct Features {
    store: Store,
    log: Sequence<FeaturePart>,
}

impl Features {
    /// Opens the features of the encoder `key` in a job's storage.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(storage: &Store, key: &str) -> Result<Self, StorageError> {
        let store = storage.sub(&format!("features/{key}"));
        Ok(Self { log: Sequence::open(store.sub("log")).await?, store })
    }

    /// The encoder's folder, to which files' names are relative.
    pub fn folder(&self) -> &Store {
        &self.store
    }

    /// All parts that have been read.
    pub fn parts(&self) -> &[FeaturePart] {
        self.log.entries()
    }

    /// Reads what others have added.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        self.log.refresh().await
    }

    /// Adds a part, whose file is written already.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn add(&mut self, part: FeaturePart) -> Result<(), StorageError> {
        while self.log.append(part.clone()).await? == Appended::Overtaken {}
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::testing::store_over;

    fn part(content: &str) -> FeaturePart {
        FeaturePart { file: None, contents: vec![content.into()], unreadable: Vec::new(), nonce: crate::nonce() }
    }

    #[tokio::test]
    async fn what_several_writers_add_is_all_there() {
        let storage = store_over(Arc::new(InMemory::new()));
        let mut one = Features::open(&storage, "encoder").await.unwrap();
        let mut other = Features::open(&storage, "encoder").await.unwrap();
        one.add(part("a")).await.unwrap();
        other.add(part("b")).await.unwrap();
        one.add(part("c")).await.unwrap();
        other.refresh().await.unwrap();
        let contents = |features: &Features| {
            features.parts().iter().flat_map(|part| part.contents.clone()).collect::<Vec<_>>()
        };
        assert_eq!(contents(&one), ["a", "b", "c"]);
        assert_eq!(contents(&other), contents(&one));
        assert!(Features::open(&storage, "another").await.unwrap().parts().is_empty());
    }
}
