//! The name of a prepared dataset: a hash over all that it is a function of.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use teasel_api::resolved::Data;

use crate::DataError;
use crate::places::{InputFile, Part, Places, files};

/// Version of the layout that this release writes. 2: held-out users have their tenants, items the facets that are known.
/// 3: items that nobody trains with are there too, and users have theirs.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// The oldest version that it reads.
pub(crate) const OLDEST_VERSION: u32 = 1;

/// The files of all inputs, at one moment.
pub(crate) struct Listing {
    /// Files of each of [`Places::interactions`].
    pub(crate) interactions: Vec<Vec<InputFile>>,
    /// Files of the items; none where the job names no place for them.
    pub(crate) items: Vec<InputFile>,
    parts: Vec<Part>,
}

impl Listing {
    pub(crate) async fn of(places: &Places) -> Result<Self, DataError> {
        let mut interactions = Vec::new();
        for (_, place) in &places.interactions {
            interactions.push(files(place).await?);
        }
        let items = match &places.items {
            Some(place) => files(place).await?,
            None => Vec::new(),
        };
        let parts = places.interactions.iter().map(|(part, _)| *part).collect();
        Ok(Listing { interactions, items, parts })
    }

    /// Every field of `data` but the secrets that open its places, with path, size and tag of every input, and the
    /// layout's version: 32 hexadecimal digits.
    pub(crate) fn fingerprint(&self, data: &Data) -> Result<String, DataError> {
        let mut fields = serde_json::to_value(data).map_err(|error| DataError::Engine(error.to_string()))?;
        forget_secrets(&mut fields);
        let describe = |file: &InputFile| serde_json::json!([file.uri, file.size, file.tag]);
        let interactions: Vec<Json> = self
            .parts
            .iter()
            .zip(&self.interactions)
            .map(|(part, files)| serde_json::json!([*part as u8, files.iter().map(describe).collect::<Vec<_>>()]))
            .collect();
        let items: Vec<Json> = self.items.iter().map(describe).collect();
        let text = serde_json::json!([FORMAT_VERSION, fields, interactions, items]).to_string();
        Ok(hex::encode(&Sha256::digest(text)[..16]))
    }
}

/// The fingerprint that preparing `data` from `places` would give now. Lists the inputs and reads none of them.
///
/// # Errors
/// Those of inputs that are missing or can't be listed.
pub async fn fingerprint(data: &Data, places: &Places) -> Result<String, DataError> {
    Listing::of(places).await?.fingerprint(data)
}

/// Which secret opens a place changes nothing of what is there.
fn forget_secrets(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            if fields.contains_key("uri") {
                fields.remove("secretRef");
            }
            fields.values_mut().for_each(forget_secrets);
        }
        Json::Array(values) => values.iter_mut().for_each(forget_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::forget_secrets;

    #[test]
    fn a_place_is_the_same_whichever_secret_opens_it() {
        let mut with = serde_json::json!({"location": {"uri": "s3://a/b", "secretRef": {"name": "x"}}, "seed": 1});
        forget_secrets(&mut with);
        assert_eq!(with, serde_json::json!({"location": {"uri": "s3://a/b"}, "seed": 1}));
    }
}
