//! The places that a job's data come from, opened and listed.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use teasel_api::location::{Location, credential_prefix};
use teasel_api::resolved::{Data, ProvidedPair, Split};
use teasel_storage::{Credentials, Store};

use crate::DataError;

/// The inputs of a job, opened. Nothing is read yet.
#[derive(Clone, Debug)]
pub struct Places {
    /// Interactions, each with the part that it plays.
    pub(crate) interactions: Vec<(Part, Store)>,
    /// Item metadata.
    pub(crate) items: Option<Store>,
}

/// The part that an input's rows play. Their numbers sort a person's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Training, and everything where no split is provided.
    Train = 0,
    ValidationFoldIn = 1,
    ValidationHeldOut = 2,
    TestFoldIn = 3,
    TestHeldOut = 4,
}

impl Part {
    /// Whether the pairs are what is known of a person, not what is asked for.
    pub(crate) fn is_history(self) -> bool {
        !matches!(self, Part::ValidationHeldOut | Part::TestHeldOut)
    }
}

impl Places {
    /// Opens every input of `data` with the credentials that the environment holds for its field.
    ///
    /// # Errors
    /// [`DataError::Storage`] where a URL or a credential's name makes no sense.
    pub fn open(data: &Data) -> Result<Self, DataError> {
        Self::open_with(data, |field| Credentials::from_environment(&credential_prefix(field)))
    }

    /// Opens every input of `data` with the credentials that `credentials` has for its field, such as
    /// `data.interactions`.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub fn open_with(data: &Data, credentials: impl Fn(&str) -> Credentials) -> Result<Self, DataError> {
        let open = |field: &str, location: &Location| Store::open(location, &credentials(field));
        let pair = |field: &str, pair: &ProvidedPair, parts: [Part; 2]| -> Result<_, DataError> {
            Ok([
                (parts[0], open(&format!("{field}.foldIn"), &pair.fold_in)?),
                (parts[1], open(&format!("{field}.heldOut"), &pair.held_out)?),
            ])
        };
        let interactions = match &data.split {
            Split::Provided { train, validation, test } => {
                let root = "data.split.provided";
                let mut places = vec![(Part::Train, open(&format!("{root}.train"), train)?)];
                places.extend(pair(
                    &format!("{root}.validation"),
                    validation,
                    [Part::ValidationFoldIn, Part::ValidationHeldOut],
                )?);
                places.extend(pair(&format!("{root}.test"), test, [Part::TestFoldIn, Part::TestHeldOut])?);
                places
            }
            _ => vec![(Part::Train, open("data.interactions", &data.interactions.location)?)],
        };
        let items = data.items.as_ref().map(|items| open("data.items", &items.location)).transpose()?;
        Ok(Places { interactions, items })
    }
}

/// One file to read.
#[derive(Clone, Debug)]
pub(crate) struct InputFile {
    /// URL, for messages.
    pub(crate) uri: String,
    /// Where it is.
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) size: u64,
    /// What changes with its content: the store's entity tag, else the time of its last change.
    pub(crate) tag: String,
}

/// The files at `place`: itself, or all below it in the order of their names. Hidden ones (a part of the path begins
/// with `.` or `_`) and empty ones are left out.
pub(crate) async fn files(place: &Store) -> Result<Vec<InputFile>, DataError> {
    let mut found: Vec<(String, ObjectMeta)> = place.list("").await?;
    found.retain(|(name, object)| object.size > 0 && !name.split('/').any(|part| part.starts_with(['.', '_'])));
    if found.is_empty() {
        // A store lists nothing below a file.
        found.extend(place.head("").await?.map(|object| (String::new(), object)));
    }
    if found.is_empty() {
        return Err(DataError::MissingInput { uri: place.uri() });
    }
    Ok(found
        .into_iter()
        .map(|(name, object)| InputFile {
            uri: if name.is_empty() { place.uri() } else { place.uri_of(&name) },
            store: place.object_store(),
            size: object.size,
            tag: object.e_tag.unwrap_or_else(|| object.last_modified.timestamp_micros().to_string()),
            path: object.location,
        })
        .collect())
}
