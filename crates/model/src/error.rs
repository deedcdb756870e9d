//! What can go wrong with a model, by what the caller does next.

use tch::TchError;

/// Why a call on a model failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration describes no model: change the job.
    #[error("{0}")]
    Configuration(String),
    /// A batch or catalogue doesn't fit the model: prepare the data again. Names positions, never values.
    #[error("{0}")]
    Input(String),
    /// Stored parameters can't be used: take an older checkpoint.
    #[error("stored parameters can't be used: {0}")]
    Parameters(String),
    /// The loss is no longer a finite number: lower the learning rate, or look for extreme weights in the data.
    #[error("the loss is not a finite number at step {step}; lower `training.learningRate`")]
    Diverged {
        /// The step, counted from 0 over all epochs.
        step: u64,
    },
    /// libtorch failed; out of memory is one of its reasons.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] TchError),
}

/// The result of a call on a model.
pub type Result<T> = std::result::Result<T, ModelError>;

/// libtorch appends its C++ stack to its messages; the source of the error keeps it.
fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_libtorch_is_cut_before_its_stack() {
        let error = tch::Tensor::f_from_slice(&[1.0_f32]).unwrap().f_view_([7_i64]).unwrap_err();
        let message = ModelError::from(error).to_string();
        assert!(message.contains("is invalid for input of size 1"), "{message}");
        assert!(!message.contains("frame #"), "{message}");
    }
}
