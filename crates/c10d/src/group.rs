//! Process groups and their collectives.

use std::ptr::null_mut;
use std::time::Duration;

use tch::Tensor;

use crate::cuda::{CudaDevice, load_library};
use crate::error::{Error, Subject, check};
use crate::ffi::{self, Owned, handles};
use crate::plugin;
use crate::store::{Store, milliseconds, owned, text};

/// How values of several ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Their sum.
    Sum = 0,
    /// The smallest.
    Minimum = 3,
    /// The largest.
    Maximum = 4,
}

/// Ranks that work together. Every rank calls the same collectives in the same order.
///
/// A collective returns when it is done, or fails on every rank within the group's timeout once a peer is gone. A group
/// that has failed is of no further use: drop it and form another, under another name.
#[derive(Debug)]
pub struct ProcessGroup {
    handle: Owned,
    rank: u32,
    world: u32,
    has_nccl: bool,
}

impl ProcessGroup {
    /// Forms a gloo group on CPUs.
    ///
    /// `address` is a name or address of this machine that peers can reach. `name` is the same on all ranks and new for
    /// each group of a store.
    ///
    /// # Errors
    /// [`Error::Timeout`] where a rank doesn't come in time.
    pub fn gloo(
        store: &Store,
        rank: u32,
        world: u32,
        address: &str,
        timeout: Duration,
        name: &str,
    ) -> Result<Self, Error> {
        let (address, name) = (text(address)?, text(name)?);
        let mut handle = null_mut();
        // SAFETY: store and strings outlive the call; c10d keeps its own reference to the store.
        let status = unsafe {
            ffi::teasel_group_gloo(
                store.0.handle(),
                rank as i32,
                world as i32,
                address.as_ptr(),
                milliseconds(timeout),
                name.as_ptr(),
                &mut handle,
            )
        };
        check(status, Subject::Group)?;
        Ok(ProcessGroup { handle: owned(handle)?, rank, world, has_nccl: false })
    }

    /// Adds NCCL for tensors on `device`; those on CPUs still go through gloo. Every rank does it, each on a device of
    /// its own, which becomes the calling thread's.
    ///
    /// NCCL's watchdog ends the process where a collective takes longer than `timeout`. Gloo returns an error instead,
    /// so let its timeout be the shorter one, and call a collective on CPU tensors now and then.
    ///
    /// # Errors
    /// [`Error::NoCuda`] where the plugin isn't there or doesn't fit what is loaded, [`Error::Other`] where the device can't be used.
    pub fn with_nccl(mut self, device: CudaDevice, timeout: Duration) -> Result<Self, Error> {
        let plugin = plugin::path()?;
        load_library(&plugin)?;
        let plugin = text(&plugin.to_string_lossy())?;
        // SAFETY: the group is valid as long as `self` lives and the path outlives the call; the library at it is this
        // build's plugin, whose entry point has the signature that the shim expects.
        let status = unsafe {
            ffi::teasel_group_add_nccl(self.handle(), plugin.as_ptr(), device.index() as i32, milliseconds(timeout))
        };
        check(status, Subject::Group)?;
        self.has_nccl = true;
        Ok(self)
    }

    /// This process's rank.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Number of ranks.
    pub fn world(&self) -> u32 {
        self.world
    }

    pub(crate) fn handle(&self) -> ffi::Handle {
        self.handle.handle()
    }

    /// Replaces each tensor, in place, by `operation` over all ranks' tensors of the same place.
    ///
    /// Shapes and kinds are the same on all ranks; the result is bitwise the same on all ranks.
    pub fn all_reduce(&self, tensors: &[&Tensor], operation: Operation) -> Result<(), Error> {
        let mut tensors = handles(tensors.iter().copied());
        // SAFETY: the tensors are borrowed for the call, which returns only when the collective is done.
        let status = unsafe {
            ffi::teasel_group_all_reduce(self.handle(), tensors.as_mut_ptr(), tensors.len(), operation as i32)
        };
        check(status, Subject::Group)
    }

    /// Replaces each tensor, in place, by that of rank `root`.
    pub fn broadcast(&self, tensors: &[&Tensor], root: u32) -> Result<(), Error> {
        let mut tensors = handles(tensors.iter().copied());
        // SAFETY: as in `all_reduce`.
        let status =
            unsafe { ffi::teasel_group_broadcast(self.handle(), tensors.as_mut_ptr(), tensors.len(), root as i32) };
        check(status, Subject::Group)
    }

    /// Returns when every rank has called it.
    pub fn barrier(&self) -> Result<(), Error> {
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_group_barrier(self.handle()) }, Subject::Group)
    }

    /// Ends what the group is doing, so that peers fail at once instead of at their timeout.
    pub fn abort(&self) -> Result<(), Error> {
        // SAFETY: the handle is valid as long as `self` lives.
        check(unsafe { ffi::teasel_group_abort(self.handle()) }, Subject::Group)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.has_nccl {
            // What waits on a GPU for a peer that is gone would keep this process from ending.
            let _ = self.abort();
        }
        // SAFETY: the handle is ours and isn't used again; a reducer holds its own reference.
        unsafe { ffi::teasel_group_free(self.handle()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(500);

    #[test]
    fn a_group_whose_peer_never_comes_times_out() {
        let store = Store::host("127.0.0.1", 0, TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, 0, 2, "127.0.0.1", TIMEOUT, "alone");
        assert!(matches!(group, Err(Error::Timeout(_))), "{group:?}");
    }

    #[test]
    fn a_group_of_one_reduces_to_itself() {
        let store = Store::host("127.0.0.1", 0, TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, 0, 1, "127.0.0.1", TIMEOUT, "one").unwrap();
        let tensor = Tensor::from_slice(&[1.0f32, 2.0]);
        group.all_reduce(&[&tensor], Operation::Sum).unwrap();
        assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), [1.0, 2.0]);
    }
}
