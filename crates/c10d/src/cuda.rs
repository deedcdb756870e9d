//! libtorch's CUDA half, which is loaded at run time.

use std::path::Path;

use tch::Device;

use crate::error::{Error, Subject, check};
use crate::ffi;
use crate::store::text;

/// The library that holds libtorch's CUDA half.
const LIBRARY: &str = "libtorch_cuda.so";

/// CUDA in this process: libtorch's half for it is loaded, and at least one device is there.
#[derive(Clone, Copy, Debug)]
pub struct Cuda {
    devices: u32,
}

/// A CUDA device that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    index: u32,
}

impl Cuda {
    /// Loads libtorch's CUDA half and looks for devices. libtorch remembers its first answer to that question, so
    /// nothing in this process may have asked before.
    ///
    /// # Errors
    /// [`Error::NoCuda`] where the library isn't there, [`Error::NoGpu`] where no device is.
    pub fn load() -> Result<Self, Error> {
        load_library(Path::new(LIBRARY))?;
        let mut count = 0;
        // SAFETY: `count` is a valid place to write to.
        check(unsafe { ffi::teasel_cuda_devices(&mut count) }, Subject::Group)?;
        match u32::try_from(count) {
            Ok(devices) if devices > 0 => Ok(Cuda { devices }),
            _ => Err(Error::NoGpu { visible: 0 }),
        }
    }

    /// Device `index` of those that this process sees, counted from 0.
    ///
    /// # Errors
    /// [`Error::NoGpu`] where there are fewer.
    pub fn device(self, index: u32) -> Result<CudaDevice, Error> {
        if index < self.devices { Ok(CudaDevice { index }) } else { Err(Error::NoGpu { visible: self.devices }) }
    }
}

impl CudaDevice {
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

impl From<CudaDevice> for Device {
    fn from(device: CudaDevice) -> Device {
        Device::Cuda(device.index as usize)
    }
}

/// Loads a library into this process, for all to see.
///
/// # Errors
/// [`Error::NoCuda`] with the loader's words.
pub(crate) fn load_library(path: &Path) -> Result<(), Error> {
    let path = text(&path.to_string_lossy())?;
    // SAFETY: the path outlives the call. Loading runs the library's initialisers, which is the caller's purpose.
    check(unsafe { ffi::teasel_load_library(path.as_ptr()) }, Subject::Group).map_err(|error| match error {
        Error::Other(message) => Error::NoCuda(message),
        other => other,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plugin;

    #[test]
    fn without_libtorchs_cuda_half_the_error_has_the_loaders_words() {
        let error = Cuda::load().unwrap_err();
        assert!(matches!(error, Error::NoCuda(_)), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with("there is no CUDA here: libtorch_cuda.so: cannot open"), "{message}");
    }

    #[test]
    fn the_plugin_alone_is_refused_by_the_loader() {
        let error = load_library(&plugin::path().unwrap()).unwrap_err();
        assert!(matches!(&error, Error::NoCuda(message) if message.contains("undefined symbol")), "{error:?}");
    }

    #[test]
    fn a_device_is_one_of_those_that_are_there() {
        let cuda = Cuda { devices: 2 };
        assert_eq!(Device::from(cuda.device(1).unwrap()), Device::Cuda(1));
        assert_eq!(cuda.device(2), Err(Error::NoGpu { visible: 2 }));
    }

    #[test]
    fn too_few_devices_are_counted_in_words() {
        let messages = [0, 1, 3].map(|visible| Error::NoGpu { visible }.to_string());
        let expected =
            ["no CUDA device is visible", "only 1 CUDA device is visible", "only 3 CUDA devices are visible"];
        assert_eq!(messages, expected);
    }
}
