//! Reading raw interactions, cleaning, vocabulary, splits and the prepared dataset.
//!
//! [`prepare()`] turns the raw files of [`Places`] into a dataset and the tenants' users, both immutable and named by
//! their [`fingerprint()`]. [`Dataset`] and [`TenantUsers`] read them; [`BatchPlan`] says which users make a batch.
//!
//! Only items get a vocabulary in memory. Users are sorted outside of it and stream.

mod batches;
mod catalogue;
mod core_filter;
mod csr;
mod dataset;
mod error;
mod fingerprint;
mod hash;
mod item_rows;
mod layout;
mod manifest;
mod people;
mod places;
mod plan;
mod prepare;
mod progress;
mod raw;
mod report;
mod rules;
mod scan;
mod sort;
mod split;
mod tenant;
mod timeline;
mod vocabulary;
mod write;

pub use batches::{Batch, Batches, TrainingUsers};
pub use catalogue::Catalogue;
pub use csr::Csr;
pub use dataset::{Dataset, HeldOut, HeldOutSet};
pub use error::DataError;
pub use fingerprint::fingerprint;
pub use hash::user_key;
pub use item_rows::read_item_ids;
pub use places::Places;
pub use plan::{BatchPlan, VIRTUAL_SHARDS, shards_of};
pub use prepare::{Options, Prepared, PreparedTenant, is_prepared, prepare};
pub use progress::{Progress, Stage};
pub use report::{Dropped, Report};
pub use tenant::{TenantBatch, TenantUsers};
pub use timeline::Timeline;

pub(crate) use error::storage_error;
