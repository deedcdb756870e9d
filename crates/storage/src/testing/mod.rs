//! Helpers for tests: a store that injects faults, and a real S3 server.

mod fault;
mod seaweedfs;
mod workspace;

pub use fault::{Fault, FaultyStore, Operation, Pause};
pub use seaweedfs::{Identity, SeaweedFs};
pub use workspace::workspace;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::Store;

/// A [`Store`] over any object store.
///
/// # Panics
/// Never: the URL is a constant.
pub fn store_over(inner: Arc<dyn ObjectStore>) -> Store {
    let root = url::Url::parse("memory:///").unwrap_or_else(|_| unreachable!("a constant URL"));
    Store::from_parts(inner, root, Path::default()).without_pauses()
}
