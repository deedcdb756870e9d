//! What large pretrained models read of the items. Each content is read once per encoder, by whichever rank's turn it is,
//! and kept in the job's storage by its hash.

mod chunks;
mod folder;
mod items;
mod opened;
mod reading;
mod tuned;

use tch::Device;
use teasel_api::resolved::{ColdItems, Data, Encoder, Model};
use teasel_data::{Catalogue, Dataset};
use teasel_model::ContentVectors;
use teasel_storage::Store;

use self::folder::EncoderFolder;
use self::items::{Contents, image_folder};
use self::reading::Reading;
pub(crate) use self::tuned::{Tuned, tuned};
use crate::error::TaskError;
use crate::places;

/// All items that a model of this spec is of: the vocabulary, and behind it those that nobody trains with where they are
/// to be recommended.
///
/// # Errors
/// Those of the store.
pub(crate) async fn catalogue(dataset: &Dataset, model: &Model) -> Result<Catalogue, TaskError> {
    followed_by_cold_items(dataset.catalogue().await?, dataset, model).await
}

/// The same, where the vocabulary is read already.
pub(crate) async fn followed_by_cold_items(
    vocabulary: Catalogue,
    dataset: &Dataset,
    model: &Model,
) -> Result<Catalogue, TaskError> {
    Ok(match cold_items(dataset, model) {
        0 => vocabulary,
        _ => vocabulary.followed_by(dataset.cold_catalogue().await?),
    })
}

/// How many of these nobody trains with.
pub(crate) fn cold_items(dataset: &Dataset, model: &Model) -> usize {
    let recommends = model.content.as_ref().is_some_and(|content| content.cold_items == ColdItems::Recommend);
    if recommends { dataset.cold_items() } else { 0 }
}

/// Who reads, and with what.
pub(crate) struct Reader<'a> {
    pub(crate) storage: &'a Store,
    pub(crate) data: &'a Data,
    pub(crate) catalogue: &'a Catalogue,
    /// Rank and world.
    pub(crate) rank: (u32, u32),
    pub(crate) device: Device,
    /// Hears what is done, and how much of it, 0 to 100.
    pub(crate) report: &'a dyn Fn(String, f64),
}

/// What was read of the items.
#[derive(Default)]
pub(crate) struct Contained {
    /// Vectors of each layer of each encoder, text first; only rank 0 has them.
    pub(crate) vectors: Vec<ContentVectors>,
    /// What people should know.
    pub(crate) notices: Vec<String>,
}

/// Reads the part of `content` that is this rank's; rank 0 waits for the others' and gathers all.
///
/// # Errors
/// [`TaskError::Missing`] where an encoder isn't there, [`TaskError::Configuration`] where it can't be used,
/// [`TaskError::Content`] where an item's content can't be read and the job doesn't skip those.
pub(crate) async fn read(
    content: &teasel_api::resolved::Content,
    reader: &Reader<'_>,
) -> Result<Contained, TaskError> {
    let mut readings = Vec::new();
    if let Some(encoder) = &content.text {
        let folder = encoder_folder(encoder, "model.content.text.encoder").await?;
        let contents = (Contents::texts(reader.catalogue), None);
        readings.push((("text", encoder, folder), contents));
    }
    if let (Some(encoder), Some(items)) = (&content.image, &reader.data.items) {
        let folder = encoder_folder(encoder, "model.content.image.encoder").await?;
        let images = image_folder(items).await?;
        let contents = (Contents::images(reader.catalogue, &images).await?, Some(images));
        readings.push((("image", encoder, folder), contents));
    }
    let mut contained = Contained::default();
    let mut all = Vec::new();
    for (what, contents) in readings {
        let kind = what.0;
        let policy = content.on_bad_items;
        let mut reading = Reading::new(what, contents, &reader.catalogue.ids, policy, reader.storage).await?;
        reading.read_own(reader.rank, reader.device, reader.report).await?;
        all.push((kind, reading));
    }
    // All wait here, where progress counts: later on, ranks wait for each other for a fixed time.
    for (kind, reading) in &mut all {
        reading.wait(reader.report).await?;
        if reader.rank.0 > 0 {
            continue;
        }
        let (vectors, unreadable) = reading.vectors().await?;
        contained.vectors.extend(vectors);
        if unreadable > 0 {
            let notice = format!("the {kind}s of {unreadable} items can't be read: they count as without");
            contained.notices.push(notice);
        }
    }
    Ok(contained)
}

async fn encoder_folder(encoder: &Encoder, field: &'static str) -> Result<EncoderFolder, TaskError> {
    EncoderFolder::list(places::open(&encoder.location, field)?, field).await
}
