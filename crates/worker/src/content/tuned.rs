//! Encoders that are adapted while training: what they read of items, with a way back to what is adapted.

use std::ops::Range;

use futures::stream::{self, StreamExt, TryStreamExt};
use tch::{Device, Tensor};
use teasel_api::resolved::{Content as Spec, Encoder, OnBadItems, Tuning};
use teasel_data::Catalogue;
use teasel_storage::Store;
use tokio::runtime::Handle;

use super::folder::{EncoderFolder, LocalFolder};
use super::items::{Content, Contents, image_folder};
use super::opened::Opened;
use super::{Reader, encoder_folder};
use crate::error::TaskError;

/// Contents that are fetched at once.
const FETCHED_AT_ONCE: usize = 16;

/// An encoder that is adapted.
pub(crate) struct Tuned {
    /// `text` or `image`.
    pub(crate) kind: &'static str,
    pub(crate) tuning: Tuning,
    /// Its layers among the model's sources.
    pub(crate) sources: Range<usize>,
    opened: Opened,
    /// Contents of the items; `None` where an item has none.
    contents: Vec<Option<Content>>,
    /// Their ids, for errors.
    ids: Vec<String>,
    images: Option<Store>,
    on_bad_items: OnBadItems,
    folder: EncoderFolder,
    here: LocalFolder,
}

/// Those of `content` that are adapted, opened. `seed` decides what is adapted in the beginning.
///
/// # Errors
/// As [`read`](super::read).
pub(crate) async fn tuned(content: &Spec, reader: &Reader<'_>, seed: u64) -> Result<Vec<Tuned>, TaskError> {
    let (mut found, mut first) = (Vec::new(), 0);
    for (kind, field, encoder) in [
        ("text", "model.content.text.encoder", &content.text),
        ("image", "model.content.image.encoder", &content.image),
    ] {
        let Some(encoder) = encoder else { continue };
        let sources = first..first + encoder.layers.as_ref().map_or(1, Vec::len);
        first = sources.end;
        let Some(tuning) = &encoder.tuning else { continue };
        let folder = encoder_folder(encoder, field).await?;
        let here = folder.fetch().await?;
        let mut opened = open(encoder, kind, (&folder, &here), reader.device)?;
        opened.tune(tuning, seed).map_err(|error| folder.explain(error, &here))?;
        let (contents, images) = contents(kind, reader).await?;
        let (tuning, ids) = (tuning.clone(), reader.catalogue.ids.clone());
        let on_bad_items = content.on_bad_items;
        found.push(Tuned { kind, tuning, sources, opened, contents, ids, images, on_bad_items, folder, here });
    }
    Ok(found)
}

fn open(
    encoder: &Encoder,
    kind: &str,
    (folder, here): (&EncoderFolder, &LocalFolder),
    device: Device,
) -> Result<Opened, TaskError> {
    let opened = Opened::open(encoder, kind == "image", here.path(), device);
    opened.map_err(|error| folder.explain(error, here))
}

async fn contents(kind: &str, reader: &Reader<'_>) -> Result<(Vec<Option<Content>>, Option<Store>), TaskError> {
    let catalogue: &Catalogue = reader.catalogue;
    match (&reader.data.items, kind) {
        (Some(items), "image") => {
            let image = |path: &Option<String>| path.clone().map(Content::Image);
            Ok((catalogue.images.iter().map(image).collect(), Some(image_folder(items).await?)))
        }
        _ => {
            let contents = Contents::texts(catalogue);
            let text = |hash: &Option<String>| {
                let (_, content) = contents.distinct.get(hash.as_ref()?)?;
                Some(content.clone())
            };
            Ok((contents.of_items.iter().map(text).collect(), None))
        }
    }
}

impl Tuned {
    /// What is adapted, by name.
    pub(crate) fn trained(&self) -> Vec<(String, Tensor)> {
        self.opened.trained()
    }

    /// How many layers are read, and how wide their vectors are.
    pub(crate) fn shape(&self) -> (usize, i64) {
        self.opened.shape()
    }

    /// Vectors of the contents of `items`, `[read, layers, width]`, from which gradients reach what is adapted, and the places
    /// of those that were read among `items`: all of them, unless the job skips what can't be read any more.
    ///
    /// # Errors
    /// [`TaskError::Content`] where a content can't be read any more, and the job doesn't skip those.
    pub(crate) fn read(&self, items: &[i64], runtime: &Handle) -> Result<(Tensor, Vec<i64>), TaskError> {
        let inputs = stream::iter(items).map(|item| self.input(*item)).buffered(FETCHED_AT_ONCE);
        let inputs: Vec<Result<Vec<u8>, String>> = runtime.block_on(inputs.try_collect())?;
        let mut given: Vec<(usize, Vec<u8>)> = Vec::with_capacity(items.len());
        for (place, input) in inputs.into_iter().enumerate() {
            match input {
                Ok(bytes) => given.push((place, bytes)),
                Err(reason) => self.refuse(items[place], &reason)?,
            }
        }
        let explain = |error| self.folder.explain(error, &self.here);
        let refuse = |place: usize, reason: &str| self.refuse(items[place], reason);
        let vectors = self.opened.encode_good(&mut given, explain, refuse)?;
        Ok((vectors, given.into_iter().map(|(place, _)| place as i64).collect()))
    }

    /// Whether items stay where they are whose contents can't be read any more: no item may be missing otherwise.
    pub(crate) fn skips(&self) -> bool {
        self.on_bad_items == OnBadItems::Skip
    }

    async fn input(&self, item: i64) -> Result<Result<Vec<u8>, String>, TaskError> {
        let content = usize::try_from(item).ok().and_then(|item| self.contents.get(item));
        let Some(Some(content)) = content else {
            return Err(TaskError::bug(format!("item {item} has no {}", self.kind)));
        };
        content.input(self.images.as_ref()).await
    }

    /// A content that was read before training and can't be any more ends the task, or the item stays where it is.
    fn refuse(&self, item: i64, reason: &str) -> Result<(), TaskError> {
        let id = usize::try_from(item).ok().and_then(|item| self.ids.get(item)).map_or("?", String::as_str);
        let message = format!("data.items: the {} of item {id} has changed: {reason}", self.kind);
        match self.on_bad_items {
            OnBadItems::Fail => Err(TaskError::Content(message)),
            OnBadItems::Skip => {
                tracing::warn!("{message}; it stays where it is");
                Ok(())
            }
        }
    }

    /// What decides the encoder's own weights, as numbers of a checkpoint.
    pub(crate) fn version(&self) -> Vec<f32> {
        self.folder.version.bytes().map(f32::from).collect()
    }
}
