//! The contents of items: what an encoder is given, and by which hash its answer is kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use teasel_api::resolved::Items;
use teasel_data::Catalogue;
use teasel_storage::{StorageError, Store};

use super::folder::tag;
use crate::error::TaskError;
use crate::places;

/// Images that are asked about at once.
const ASKED_AT_ONCE: usize = 32;

/// Contents of one kind, each once however many items have it.
pub(super) struct Contents {
    /// Hash of each item's content; `None` where it has none.
    pub(super) of_items: Vec<Option<String>>,
    /// Each content by its hash, with an item that has it.
    pub(super) distinct: BTreeMap<String, (usize, Content)>,
}

/// What an encoder is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    /// Path of an image in the items' folder.
    Image(String),
}

impl Content {
    /// What an encoder is given, or why it can't be read. `images` is where images lie.
    pub(super) async fn input(&self, images: Option<&Store>) -> Result<Result<Vec<u8>, String>, TaskError> {
        match (self, images) {
            (Content::Text(text), _) => Ok(Ok(text.clone().into_bytes())),
            (Content::Image(path), Some(folder)) => Ok(image(folder, path).await?.map(|bytes| bytes.to_vec())),
            (Content::Image(path), None) => Err(TaskError::bug(format!("image {path} lies nowhere"))),
        }
    }
}

impl Contents {
    fn of(items: impl Iterator<Item = Option<(String, Content)>>) -> Self {
        let (mut of_items, mut distinct) = (Vec::new(), BTreeMap::new());
        for (item, content) in items.enumerate() {
            of_items.push(content.as_ref().map(|(hash, _)| hash.clone()));
            if let Some((hash, content)) = content {
                distinct.entry(hash).or_insert((item, content));
            }
        }
        Self { of_items, distinct }
    }

    /// The items' texts, by their hashes. Nothing but white space is no text.
    pub(super) fn texts(catalogue: &Catalogue) -> Self {
        let text = |text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
            Some((hash(text.as_bytes()), Content::Text(text.to_owned())))
        };
        Self::of(catalogue.texts.iter().map(text))
    }

    /// The items' images, by what the store says of them: reading all of them to find out that none is new would take as
    /// long as encoding them. One that isn't there has a hash all the same, and can't be read.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn images(catalogue: &Catalogue, folder: &Store) -> Result<Self, TaskError> {
        let described = stream::iter(&catalogue.images).map(|path| async move {
            let Some(path) = path else { return Ok(None) };
            let known = match folder.named(path) {
                None => None,
                Some(image) => image.head("").await?,
            };
            let known = known.map(|object| (object.size, tag(folder, object.e_tag, &object.last_modified)));
            let hash = hash(format!("{}\n{path}\n{known:?}", folder.uri()).as_bytes());
            Ok::<_, StorageError>(Some((hash, Content::Image(path.clone()))))
        });
        let described: Vec<_> = described.buffered(ASKED_AT_ONCE).try_collect().await?;
        Ok(Self::of(described.into_iter()))
    }
}

/// Where the items' images lie: paths are relative to the folder of the file that names them.
pub(super) async fn image_folder(items: &Items) -> Result<Store, TaskError> {
    let place = places::open(&items.location, "data.items")?;
    Ok(if place.head("").await?.is_some() { place.parent() } else { place })
}

/// The bytes of an image, or why there are none.
async fn image(folder: &Store, path: &str) -> Result<Result<Bytes, String>, TaskError> {
    let Some(image) = folder.named(path) else { return Ok(Err(format!("{path:?} is no path in its folder"))) };
    Ok(image.get_optional("").await?.ok_or_else(|| format!("{} is missing", image.uri())))
}

/// Hash of what decides an answer: 32 hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use teasel_storage::testing::store_over;

    use super::*;

    fn catalogue(texts: &[Option<&str>], images: &[Option<&str>]) -> Catalogue {
        let own = |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect();
        Catalogue {
            ids: (0..texts.len()).map(|item| item.to_string()).collect(),
            texts: own(texts),
            categories: vec![Vec::new(); texts.len()],
            images: own(images),
            facets: vec![None; texts.len()],
            counts: vec![1; texts.len()],
        }
    }

    #[test]
    fn a_text_is_read_once_however_many_items_have_it() {
        let found = Contents::texts(&catalogue(&[Some("a"), None, Some("b"), Some("a"), Some(" \n")], &[]));
        assert_eq!(found.distinct.len(), 2);
        assert_eq!(found.of_items[0], found.of_items[3]);
        assert_eq!(
            found.of_items.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, true, true, false]
        );
        let (item, content) = &found.distinct[found.of_items[2].as_ref().unwrap()];
        assert_eq!((*item, content), (2, &Content::Text("b".into())));
    }

    #[tokio::test]
    async fn an_image_that_changes_is_another_one() {
        let store = store_over(Arc::new(InMemory::new()));
        store.put("a.png", "one".into()).await.unwrap();
        let catalogue = catalogue(&[None, None, None], &[Some("a.png"), None, Some("missing.png")]);
        let before = Contents::images(&catalogue, &store).await.unwrap();
        assert_eq!(before.distinct.len(), 2);
        store.put("a.png", "another".into()).await.unwrap();
        let after = Contents::images(&catalogue, &store).await.unwrap();
        assert_ne!(before.of_items[0], after.of_items[0]);
        assert_eq!(before.of_items[2], after.of_items[2]);
        assert!(image(&store, "missing.png").await.unwrap().unwrap_err().ends_with("missing.png is missing"));
        assert!(image(&store, "../a.png").await.unwrap().is_err());
    }
}
