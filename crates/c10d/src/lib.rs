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
//! GPUs are the same path with another backend: [`Cuda::load`] brings libtorch's CUDA half in at run time, and
//! [`ProcessGroup::with_nccl`] the plugin that is compiled beside this crate. No program is linked against either, so one
//! binary runs on machines with and without.
//!
//! The crate holds all of the project's `unsafe`. Calls block the calling thread; a group and what is built on it are
//! used by one thread at a time.

mod adam;
mod cuda;
mod error;
mod ffi;
mod group;
mod plugin;
mod reducer;
mod store;

pub use adam::{FusedAdam, zero_gradients};
pub use cuda::{Cuda, CudaDevice};
pub use error::Error;
pub use group::{Operation, ProcessGroup};
pub use reducer::{BucketSizes, Reducer};
pub use store::Store;
