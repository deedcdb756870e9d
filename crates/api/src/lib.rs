//! The custom resources, their validation, and the contracts between operator or command line and workers.
//!
//! A job travels through three forms: the [`spec`] that people write (every field optional, unset means the
//! documented default), the [`resolved`] spec with every default filled in, which is what a run is made from and
//! recorded with, and the [`task`] files that tell one worker process what to do. A worker answers with an
//! [`outcome`].
//!
//! [`load()`] reads the first from YAML, [`resolve()`] makes the second; both report everything that is wrong at once.

pub mod comparison;
pub mod cron;
mod definition;
mod load;
pub mod location;
pub mod outcome;
pub mod progress;
mod reference;
pub mod request;
mod resolve;
pub mod resolved;
pub mod spec;
pub mod task;
mod violation;

pub use definition::custom_resource_definitions;
pub use load::{API_VERSION, Located, load, load_located, read, validate};
pub use reference::job_reference;
pub use resolve::{MAXIMUM_JOB_NAME, resolve, resolve_schedule};
pub use violation::Violation;
