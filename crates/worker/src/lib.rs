//! teasel-worker: the tasks that prepare, train, evaluate, score and publish.
//!
//! A worker reads one task file, does what it says, and ends with an exit code and an [outcome](teasel_api::outcome).
//! It talks to the object store and to its peers, and knows nothing of who started it.

mod arguments;
mod collect;
mod content;
mod error;
mod evaluate;
mod inspect;
mod memory;
mod model_store;
mod outcome;
mod places;
mod prepare;
mod publish;
mod score;
mod signals;
mod telemetry;
mod train;
mod words;
mod worker;

pub use worker::main;
