//! Object stores by URL, the run log, checkpoints' commit, publishing and garbage collection.
//!
//! One rule holds everywhere: *only entries and manifests give names to readers.* A data file lies in its writer's own
//! nonce folder and is written before the entry or manifest that names it. Entries and manifests are written by
//! create-if-absent, the only primitive that is needed of a store.

pub mod checkpoint;
pub mod collect;
mod create;
mod credentials;
mod error;
mod features;
mod local;
pub mod manifest;
pub mod output;
#[cfg(feature = "parquet")]
mod parquet;
pub mod run_log;
mod run_record;
mod sequence;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use create::Created;
pub use credentials::Credentials;
pub use error::StorageError;
pub use features::{FeaturePart, Features};
#[cfg(feature = "parquet")]
pub use parquet::ParquetObject;
pub use run_record::RunRecord;
pub use store::{Patience, Store, read_in_pieces};

/// A name that nobody has used: 128 random bits as 32 hexadecimal digits.
pub fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Now, in milliseconds since 1970. Only ever recorded, or compared with ages of days: no decision about who owns what
/// depends on a clock.
pub fn now_milliseconds() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
