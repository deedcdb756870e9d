//! A tenant's output: shards, whole lists, and the pointer to those that count.
//!
//! ```text
//! <output>/runs/<run>/<score hash>/<nonce>/part-<i>.parquet   written first
//!                                  shards/<i>.json            commits a part
//!                                  manifest.json              commits the lists, once every shard is
//! <output>/log/<n>.json                                       points to lists
//! <output>/current.json                                       the newest pointer again, for readers in a hurry
//! ```
//!
//! A reader may always trust the log. `current.json` only repeats its newest pointer, and is repaired from it.

mod current;
mod entry;
mod history;
mod log;
mod scores;
mod state;

pub use current::{Current, current};
pub use entry::{OutputEntry, OutputEvent, Version};
pub use log::OutputLog;
pub use scores::{ScoreIdentity, ScoreManifest, Scores, Shard};
pub use state::{OutputState, PublishOutcome, PublishRequest, ReleaseOutcome, RollbackOutcome};
