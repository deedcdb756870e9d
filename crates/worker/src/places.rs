//! Opening a task's places with their own credentials.

use teasel_api::location::{Location, credential_prefix};
use teasel_storage::{Credentials, Store};

use crate::error::TaskError;

/// Opens `location`, which stands at `field` of the job, with the credentials of that field.
pub(crate) fn open(location: &Location, field: &str) -> Result<Store, TaskError> {
    Ok(Store::open(location, &Credentials::from_environment(&credential_prefix(field)))?)
}

/// Opens the job's storage.
pub(crate) fn storage(location: &Location) -> Result<Store, TaskError> {
    open(location, "storage")
}
