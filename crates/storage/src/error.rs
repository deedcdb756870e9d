//! What can go wrong with a store.

use teasel_api::outcome::ExitCode;

/// An error of an object store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object, or no such bucket.
    #[error("{uri} isn't there")]
    NotFound {
        /// The object.
        uri: String,
    },
    /// The credentials are missing, wrong, or not allowed to do this.
    #[error("no permission for {uri}: {message}")]
    PermissionDenied {
        /// The object.
        uri: String,
        /// The store's words.
        message: String,
    },
    /// The store can't be reached, or answers with server errors, after retries.
    #[error("can't reach {uri}: {message}")]
    Unavailable {
        /// The object.
        uri: String,
        /// The store's words.
        message: String,
    },
    /// The place or its credentials are described wrongly.
    #[error("{0}")]
    BadConfiguration(String),
    /// An object isn't what was written: wrong size or checksum, or not the JSON that it should be.
    #[error("{uri} is damaged: {message}")]
    Corrupt {
        /// The object.
        uri: String,
        /// What is wrong with it.
        message: String,
    },
}

impl StorageError {
    /// How a worker ends that meets this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            StorageError::NotFound { .. } => ExitCode::InputMissing,
            StorageError::PermissionDenied { .. } => ExitCode::PermissionDenied,
            StorageError::Unavailable { .. } => ExitCode::StorageUnavailable,
            StorageError::BadConfiguration(_) => ExitCode::BadConfiguration,
            StorageError::Corrupt { .. } => ExitCode::BadData,
        }
    }

    /// Sorts object_store's errors by what the caller does next.
    pub(crate) fn from_object_store(uri: String, error: object_store::Error) -> Self {
        use object_store::Error;
        let message = deepest(&error);
        match error {
            Error::NotFound { .. } => StorageError::NotFound { uri },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                StorageError::PermissionDenied { uri, message }
            }
            Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. } => StorageError::BadConfiguration(format!("{uri}: {message}")),
            _ => StorageError::Unavailable { uri, message },
        }
    }

    /// Sorts the errors of files.
    pub(crate) fn from_file(uri: String, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => StorageError::NotFound { uri },
            std::io::ErrorKind::PermissionDenied => {
                StorageError::PermissionDenied { uri, message: error.to_string() }
            }
            _ => StorageError::Unavailable { uri, message: error.to_string() },
        }
    }
}

/// The innermost cause: the outer ones only repeat where it happened.
pub(crate) fn deepest(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
