//! The reducer: gradients of all ranks are summed and averaged while the backward pass still runs.

use std::ptr::null_mut;

use tch::Tensor;

use crate::error::{Error, Subject, check};
use crate::ffi::{self, Owned, handles};
use crate::group::ProcessGroup;
use crate::store::owned;

/// How gradients are put together into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSizes {
    /// Bytes of the first bucket, which is sent first: small, so that sending starts early.
    pub first: usize,
    /// Bytes of the others.
    pub others: usize,
}

impl Default for BucketSizes {
    /// PyTorch's: 1 MiB and 25 MiB.
    fn default() -> Self {
        BucketSizes { first: 1 << 20, others: 25 << 20 }
    }
}

/// libtorch's `Reducer` (Li et al., PyTorch Distributed, VLDB 2020).
///
/// Hooks on the parameters' gradients start each bucket's all-reduce as soon as it is full; the *mean* over ranks is
/// in `.grad` when the backward pass returns. Every parameter must get a gradient in every backward pass.
///
/// A fresh reducer uses its first bucket layout for one step and then rebuilds the buckets in the order in which
/// gradients became ready. With three or more ranks that changes the order of sums. Whoever needs a resumed run to be
/// bitwise that of an undisturbed one does one backward pass on a zero loss before the first real step, in fresh and
/// resumed runs alike.
///
/// Gradients are views into the buckets: zero them with [`crate::zero_gradients`], never by replacing them.
#[derive(Debug)]
pub struct Reducer(Owned);

impl Reducer {
    /// A reducer over `parameters`, which are the same tensors in the same order on every rank.
    pub fn new(group: &ProcessGroup, parameters: &[&Tensor], buckets: BucketSizes) -> Result<Self, Error> {
        let mut tensors = handles(parameters.iter().copied());
        let mut handle = null_mut();
        // SAFETY: group and tensors outlive the call; the reducer keeps its own references to both.
        let status = unsafe {
            ffi::teasel_reducer_new(
                group.handle(),
                tensors.as_mut_ptr(),
                tensors.len(),
                buckets.first as i64,
                buckets.others as i64,
                &mut handle,
            )
        };
        check(status, Subject::Group)?;
        owned(handle).map(Reducer)
    }

    /// Number of buckets now.
    pub fn bucket_count(&self) -> Result<usize, Error> {
        let mut count = 0;
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_reducer_bucket_count(self.0.handle(), &mut count) }, Subject::Group)?;
        Ok(count)
    }

    /// Before each forward pass. Returns whether the buckets were rebuilt, which is a collective of its own.
    ///
    /// # Errors
    /// [`Error::Other`] where the backward pass before didn't reach every parameter.
    pub fn prepare_forward(&mut self) -> Result<bool, Error> {
        let mut rebuilt = 0;
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_reducer_prepare_forward(self.0.handle(), &mut rebuilt) }, Subject::Group)?;
        Ok(rebuilt != 0)
    }

    /// Between the forward and the backward pass.
    pub fn prepare_backward(&mut self) -> Result<(), Error> {
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_reducer_prepare_backward(self.0.handle()) }, Subject::Group)
    }

    /// Runs the backward pass of `loss`. A peer's loss shows as [`Error::PeerLost`].
    pub fn backward(&mut self, loss: &Tensor) -> Result<(), Error> {
        self.prepare_backward()?;
        loss.f_backward().map_err(|error| Error::from_backward(&error.to_string()))
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and isn't used again.
        unsafe { ffi::teasel_reducer_free(self.0.handle()) }
    }
}
