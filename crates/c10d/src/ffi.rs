//! The shim's C ABI; `shim/shim.h` documents it.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;

use tch::Tensor;

pub(crate) type Handle = *mut c_void;

unsafe extern "C" {
    pub(crate) fn teasel_last_error() -> *const c_char;

    pub(crate) fn teasel_store_tcp(
        host: *const c_char,
        port: u16,
        is_server: c_int,
        timeout: i64,
        out: *mut Handle,
    ) -> c_int;
    pub(crate) fn teasel_store_port(store: Handle, out: *mut u16) -> c_int;
    pub(crate) fn teasel_store_set(store: Handle, key: *const c_char, value: *const u8, length: usize) -> c_int;
    pub(crate) fn teasel_store_get(
        store: Handle,
        key: *const c_char,
        timeout: i64,
        value: *mut *mut u8,
        length: *mut usize,
    ) -> c_int;
    pub(crate) fn teasel_store_add(store: Handle, key: *const c_char, amount: i64, out: *mut i64) -> c_int;
    pub(crate) fn teasel_store_check(store: Handle, key: *const c_char, out: *mut c_int) -> c_int;
    pub(crate) fn teasel_bytes_free(bytes: *mut u8);
    pub(crate) fn teasel_store_free(store: Handle);

    pub(crate) fn teasel_group_gloo(
        store: Handle,
        rank: c_int,
        world: c_int,
        host: *const c_char,
        timeout: i64,
        name: *const c_char,
        out: *mut Handle,
    ) -> c_int;
    pub(crate) fn teasel_group_add_nccl(group: Handle, plugin: *const c_char, device: c_int, timeout: i64)
    -> c_int;
    pub(crate) fn teasel_group_all_reduce(
        group: Handle,
        tensors: *mut Handle,
        count: usize,
        operation: c_int,
    ) -> c_int;
    pub(crate) fn teasel_group_broadcast(group: Handle, tensors: *mut Handle, count: usize, root: c_int) -> c_int;
    pub(crate) fn teasel_group_barrier(group: Handle) -> c_int;
    pub(crate) fn teasel_group_abort(group: Handle) -> c_int;
    pub(crate) fn teasel_group_free(group: Handle);

    pub(crate) fn teasel_reducer_new(
        group: Handle,
        parameters: *mut Handle,
        count: usize,
        first_bucket_bytes: i64,
        bucket_bytes: i64,
        out: *mut Handle,
    ) -> c_int;
    pub(crate) fn teasel_reducer_bucket_count(reducer: Handle, out: *mut usize) -> c_int;
    pub(crate) fn teasel_reducer_prepare_forward(reducer: Handle, rebuilt: *mut c_int) -> c_int;
    pub(crate) fn teasel_reducer_prepare_backward(reducer: Handle) -> c_int;
    pub(crate) fn teasel_reducer_free(reducer: Handle);

    pub(crate) fn teasel_zero_gradients(parameters: *mut Handle, count: usize) -> c_int;
    pub(crate) fn teasel_fused_adam(
        parameters: *mut Handle,
        averages: *mut Handle,
        squares: *mut Handle,
        steps: *mut Handle,
        count: usize,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    ) -> c_int;

    pub(crate) fn teasel_load_library(path: *const c_char) -> c_int;
    pub(crate) fn teasel_cuda_devices(out: *mut c_int) -> c_int;
}

/// An object of the shim, never null.
#[derive(Debug)]
pub(crate) struct Owned(NonNull<c_void>);

// SAFETY: the shim's objects are reference-counted C++ objects without thread affinity; the wrappers take `&mut self`
// or document what c10d itself synchronises, so no object is used by two threads at once.
unsafe impl Send for Owned {}

impl Owned {
    /// Takes what a constructor of the shim wrote, `None` if it wrote nothing.
    pub(crate) fn new(handle: Handle) -> Option<Self> {
        NonNull::new(handle).map(Owned)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ptr()
    }
}

/// The `at::Tensor*` of each tensor; valid as long as the tensors are borrowed.
pub(crate) fn handles<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<Handle> {
    tensors.into_iter().map(|tensor| tensor.as_ptr().cast_mut().cast()).collect()
}
