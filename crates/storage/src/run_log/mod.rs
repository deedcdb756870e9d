//! The run log: who owns a run, which checkpoints it has, and how its tasks ended.
//!
//! Entries lie at `runs/<run>/log/<n>.json`. Each is written by create-if-absent, and only by a writer that has read
//! all entries before it and found that it may: so the log is one sequence on which all agree, as in Delta Lake
//! (Armbrust et al. 2020). The rules are pure ([`RunState`]); [`RunLog`] and [`Writer`] only read and write.

mod entry;
mod log;
mod state;

pub use entry::{Checkpoint, Claim, Entry, Event};
pub use log::{Claimed, LogError, RunLog, Writer};
pub use state::{AppendDecision, ClaimDecision, RunState};
