//! Helpers shared by the tests of what crosses processes: a project folder as a person would have it, the processes
//! that `teasel run` starts, and what they leave behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod browser;
pub mod cluster;
pub mod content;
pub mod learning;
pub mod lists;
pub mod processes;
pub mod project;
pub mod runs;
