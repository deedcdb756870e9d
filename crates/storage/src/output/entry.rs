//! What stands in a tenant's output log.

use serde::{Deserialize, Serialize};
use teasel_api::task::Ownership;

/// Whole lists: what a run's model gave under certain settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// The run.
    pub run: String,
    /// Hash over everything that decides the lists.
    pub score_hash: String,
}

impl Version {
    /// Folder of these lists in the tenant's output.
    pub fn path(&self) -> String {
        format!("runs/{}/{}", self.run, self.score_hash)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputEntry {
    /// Of this one write.
    pub nonce: String,
    /// When it was written, in milliseconds since 1970, by the writer's clock. For people only.
    pub time: i64,
    /// What happened.
    pub event: OutputEvent,
}

/// What happened to a tenant's pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "type")]
pub enum OutputEvent {
    /// It points to these lists.
    #[serde(rename_all = "camelCase")]
    Published {
        /// The lists.
        version: Version,
        /// Whose they are.
        ownership: Ownership,
    },
    /// It points to lists that were published before.
    #[serde(rename_all = "camelCase")]
    RolledBack {
        /// The lists.
        to: Version,
        /// Whether later publishes are refused until a release.
        hold: bool,
    },
    /// A hold ended.
    Released,
    /// These lists aren't to be pointed to any more, and their files go.
    Removed {
        /// The lists.
        version: Version,
    },
}
