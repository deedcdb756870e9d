//! Reading requests to move a tenant's pointer, from a job's annotation or a schedule's.

use teasel_api::request::PublishRequest;

use crate::names::short_hash;

/// Reads a request.
///
/// # Errors
/// What is wrong, after an id by which to refuse it: the text has none that can be read.
pub(crate) fn read(text: &str) -> Result<PublishRequest, (String, String)> {
    serde_json::from_str(text).map_err(|error| {
        let id = format!("sha256:{}", short_hash(text, 16));
        (id, format!("the annotation is no request: {error}"))
    })
}
