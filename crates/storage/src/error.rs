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

    /// Sorts object_store's errors by what the caller does next. `uri` is for the message.
    pub fn from_object_store(uri: String, error: &object_store::Error) -> Self {
        use object_store::Error;
        let message = deepest(error);
        match error {
            // Of a listing, object_store keeps the status in its text alone.
            Error::Generic { .. } if status_of(error).is_some_and(|status| [401, 403].contains(&status)) => {
                StorageError::PermissionDenied { uri, message }
            }
            Error::Generic { .. } if status_of(error) == Some(404) => StorageError::NotFound { uri },
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

/// The HTTP status that a server answered with, where an error's text tells it.
fn status_of(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::refused("Server returned non-2xx status code: 403 Forbidden: <Code>", ExitCode::PermissionDenied)]
    #[case::no_bucket("Server returned non-2xx status code: 404 Not Found: <Code>", ExitCode::InputMissing)]
    #[case::overloaded("Server returned non-2xx status code: 503 Slow Down: ", ExitCode::StorageUnavailable)]
    #[case::reset("connection reset by peer", ExitCode::StorageUnavailable)]
    fn a_status_in_the_text_decides(#[case] text: &'static str, #[case] expected: ExitCode) {
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        assert_eq!(StorageError::from_object_store("s3://b/x".into(), &error).exit_code(), expected);
    }
}
