//! The custom resources, their validation, and the contracts between operator or command line and workers.
//!
//! A job travels through three forms: the *spec* that people write (every field optional, unset means the
//! documented default), the [`resolved`] spec with every default filled in, which is what a run is made from and
//! recorded with, and the [`task`] files that tell one worker process what to do. A worker answers with an
//! [`outcome`].

pub mod location;
pub mod outcome;
pub mod resolved;
pub mod spec;
pub mod task;
