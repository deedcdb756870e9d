//! How far a preparation is, for whoever watches.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Counters that are read while [`prepare`](crate::prepare()) runs.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    stage: AtomicU8,
}

/// What a preparation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Raw rows are read and sorted.
    Reading = 0,
    /// Filters run until nothing changes.
    Filtering = 1,
    /// Prepared files are written.
    Writing = 2,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Stage::Reading => "reading",
            Stage::Filtering => "filtering",
            Stage::Writing => "writing",
        })
    }
}

impl Progress {
    /// Raw rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// What is being done.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Reading,
            1 => Stage::Filtering,
            _ => Stage::Writing,
        }
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }
}
