//! What can go wrong with an encoder, by what the caller does next.

use std::path::Path;

use tch::TchError;

/// Why a call on an encoder failed.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A file of the encoder is missing, or can't be used: mend the folder, or name another one.
    #[error("{file}: {reason}")]
    Encoder {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What is asked of an encoder is nothing that it has: change the job. Names the field.
    #[error("{0}")]
    Configuration(String),
    /// An item's content can't be read: mend it, or skip it. Names no content.
    #[error("item {item}: {reason}")]
    Item {
        /// The item's position among those that were to be encoded.
        item: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// libtorch failed; out of memory is one of its reasons.
    #[error("libtorch: {}", .0.to_string().lines().next().unwrap_or_default())]
    Torch(#[from] TchError),
}

impl ContentError {
    pub(crate) fn encoder(file: &Path, reason: impl ToString) -> Self {
        Self::Encoder { file: file.display().to_string(), reason: reason.to_string() }
    }
}

/// The result of a call on an encoder.
pub type Result<T> = std::result::Result<T, ContentError>;
