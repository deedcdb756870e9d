//! The spec that people write: every field that has a default may be left out.
//!
//! Defaults are documented here and filled in by [`crate::resolve()`], never by the schema: an object that runs must
//! not change because a new release has another default. Ranges and choices stand in the schema, from where both
//! the API server and [`crate::load()`] enforce them.

mod choice;
mod duration;
mod scoring;
mod status;
mod template;

// kube's derive makes private twins of structs that have rules, and calls them `pub`.
#[allow(unreachable_pub)]
mod content;
#[allow(unreachable_pub)]
mod data;
#[allow(unreachable_pub)]
mod evaluation;
#[allow(unreachable_pub)]
mod job;
#[allow(unreachable_pub)]
mod model;
#[allow(unreachable_pub)]
mod schedule;
#[allow(unreachable_pub)]
mod training;

pub use content::*;
pub use data::*;
pub use duration::{Duration, DurationError};
pub use evaluation::*;
pub use job::*;
pub use model::*;
pub use schedule::*;
pub use scoring::*;
pub use status::*;
pub use template::{ObjectTemplateMetadata, PodTemplate};
pub use training::*;
