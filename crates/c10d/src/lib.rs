//! libtorch's c10d from safe Rust: store, process group, reducer and fused Adam.
//!
//! This is what PyTorch's own `DistributedDataParallel` runs on. A training step is
//!
//! ```text
//! zero_gradients; reducer.prepare_forward; forward; reducer.prepare_backward; backward; adam.step
//! ```
//!
//! Without the two `prepare` calls a backward pass accumulates locally and the replicas drift apart in silence.
//!
//! The crate holds all of the project's `unsafe`. Calls block the calling thread; a group and what is built on it are
//! used by one thread at a time.

mod adam;
mod error;
mod ffi;
mod group;
mod reducer;
mod store;

pub use adam::{FusedAdam, zero_gradients};
pub use error::Error;
pub use group::{Operation, ProcessGroup, load_library};
pub use reducer::{BucketSizes, Reducer};
pub use store::Store;
