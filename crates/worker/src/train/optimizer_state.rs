//! The optimizer's state as safetensors bytes.

use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView, serialize};
use tch::{Kind, Tensor};
use teasel_model::read_numbers;

use crate::error::TaskError;

/// Bytes of `state`, all of 32-bit floats.
pub(super) fn to_bytes(state: &[(String, Tensor)]) -> Result<Vec<u8>, TaskError> {
    let mut buffers = Vec::with_capacity(state.len());
    for (name, tensor) in state {
        let values: Vec<f32> = read_numbers(&tensor.f_detach()?)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
        buffers.push((name, shape, bytes));
    }
    let views = buffers
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| serialize(views, None))
        .map_err(|error| TaskError::bug(format!("optimizer state: {error}")))
}

/// Copies stored values into `state`, whose tensors are the optimizer's own.
pub(super) fn copy_into(bytes: &[u8], state: &mut [(String, Tensor)]) -> Result<(), TaskError> {
    let damaged =
        |what: String| TaskError::Model(teasel_model::ModelError::Parameters(format!("optimizer state: {what}")));
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let _guard = tch::no_grad_guard();
    for (name, tensor) in state {
        let stored = file.tensor(name).map_err(|error| damaged(error.to_string()))?;
        let shape: Vec<i64> = stored.shape().iter().map(|size| *size as i64).collect();
        if stored.dtype() != Dtype::F32 || shape != tensor.size() {
            return Err(damaged(format!("{name} has the shape {shape:?} instead of {:?}", tensor.size())));
        }
        tensor.f_copy_(&Tensor::f_from_data_size(stored.data(), &shape, Kind::Float)?)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn state_comes_back_bit_by_bit() {
        let values = [1.5f32, f32::MIN_POSITIVE, -0.0, 1e-30];
        let state = vec![
            ("average.0".to_owned(), Tensor::from_slice(&values).view([2, 2])),
            ("step.0".to_owned(), Tensor::from(7f32)),
        ];
        let bytes = to_bytes(&state).unwrap();
        let mut other = vec![
            ("average.0".to_owned(), Tensor::zeros([2, 2], (Kind::Float, tch::Device::Cpu))),
            ("step.0".to_owned(), Tensor::from(0f32)),
        ];
        copy_into(&bytes, &mut other).unwrap();
        assert_eq!(to_bytes(&other).unwrap(), bytes);
        let mut wrong = vec![("average.0".to_owned(), Tensor::zeros([4], (Kind::Float, tch::Device::Cpu)))];
        assert!(copy_into(&bytes, &mut wrong).is_err());
        assert!(copy_into(&bytes[..bytes.len() - 1], &mut other).is_err());
    }
}
