//! Where a model's tensors are and what they hold: the one way from numbers of this process to tensors of the model.

use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Device and kind of a model's floating-point tensors. Indices are on the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) device: Device,
}

impl Place {
    /// On CPUs.
    #[cfg(test)]
    pub(crate) const fn cpu(kind: Kind) -> Self {
        Self { kind, device: Device::Cpu }
    }

    /// Where `tensor` is, with its kind.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        Ok(Self { kind: tensor.f_kind()?, device: tensor.device() })
    }

    /// Numbers, one-dimensional.
    pub(crate) fn numbers<T: tch::kind::Element>(self, numbers: &[T]) -> Result<Tensor> {
        self.bring(&Tensor::f_from_slice(numbers)?)
    }

    /// Indices, one-dimensional.
    pub(crate) fn indices(self, indices: &[i64]) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(indices)?.f_to_device(self.device)?)
    }

    /// `tensor` here; itself where it is here already. The kind changes first, in the same way for every device.
    pub(crate) fn bring(self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.f_to_kind(self.kind)?.f_to_device(self.device)?)
    }

    /// An uninitialised tensor.
    pub(crate) fn empty(self, shape: &[i64]) -> Result<Tensor> {
        Ok(Tensor::f_empty(shape, (self.kind, self.device))?)
    }

    /// Zeros.
    pub(crate) fn zeros(self, shape: &[i64]) -> Result<Tensor> {
        Ok(Tensor::f_zeros(shape, (self.kind, self.device))?)
    }
}

/// A tensor's numbers, row by row, wherever it is; those of another kind are converted.
///
/// # Errors
/// Those of libtorch.
pub fn read_numbers<T: tch::kind::Element>(tensor: &Tensor) -> Result<Vec<T>> {
    let mut values = Vec::new();
    read_numbers_into(tensor, &mut values)?;
    Ok(values)
}

/// The same, in the place of what `values` holds.
pub(crate) fn read_numbers_into<T: tch::kind::Element>(tensor: &Tensor, values: &mut Vec<T>) -> Result<()> {
    let tensor = tensor.f_to_kind(T::KIND)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    values.resize(tensor.numel(), T::ZERO);
    Ok(tensor.f_copy_data(values, tensor.numel())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_places_kind_and_indices_keep_theirs() {
        let place = Place::cpu(Kind::Double);
        assert_eq!(Place::of(&place.numbers(&[1.0_f32]).unwrap()).unwrap(), place);
        assert_eq!(place.indices(&[1]).unwrap().kind(), Kind::Int64);
    }

    #[test]
    fn numbers_are_read_row_by_row_in_the_kind_that_is_asked_for() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]).transpose(0, 1);
        assert_eq!(read_numbers::<i64>(&tensor).unwrap(), [1, 3, 2, 4]);
        let mut values = vec![9.0_f64; 7];
        read_numbers_into(&tensor, &mut values).unwrap();
        assert_eq!(values, [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn what_is_in_place_is_not_copied() {
        let here = Tensor::from_slice(&[1.0_f32]);
        assert_eq!(Place::cpu(Kind::Float).bring(&here).unwrap().data_ptr(), here.data_ptr());
    }
}
