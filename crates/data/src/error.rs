//! What can go wrong with data, sorted by what its reader has to mend.

use std::fmt::Display;

use teasel_api::outcome::ExitCode;
use teasel_storage::StorageError;

/// An error of reading, preparing or opening data.
///
/// Its text may quote a value that can't be read, for the person who prepares;
/// [`without_values`](DataError::without_values) never does.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is nothing to read.
    #[error("{uri} isn't there, or holds no file")]
    MissingInput {
        /// The place.
        uri: String,
    },
    /// A file lacks a column that the job names.
    #[error("{file} has no column `{column}`; it has: {}", .present.join(", "))]
    MissingColumn {
        /// The file.
        file: String,
        /// The column that the job names.
        column: String,
        /// The columns that are there.
        present: Vec<String>,
    },
    /// A column that the job names is there twice.
    #[error("{file} has more than one column `{column}`")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A column's type can't hold what the job reads from it.
    #[error("column `{column}` of {file} has type {found}, instead of {expected}")]
    WrongType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What was needed.
        expected: &'static str,
    },
    /// A row that can't be read, where the job says `onBadRows: Fail`.
    #[error("{}{}", describe_row(file, *row, column.as_deref(), problem), quoted(value.as_deref()))]
    BadRow {
        /// The file.
        file: String,
        /// Row, counted from 1 below the header.
        row: u64,
        /// The column, where it is one.
        column: Option<String>,
        /// What is wrong.
        problem: String,
        /// The value, cut to 40 characters.
        value: Option<String>,
    },
    /// More bad rows than the job allows.
    #[error("more than {maximum} rows can't be read (maximumBadRows), the last one: {last}")]
    TooManyBadRows {
        /// What the job allows.
        maximum: u64,
        /// The row that was too many.
        last: Box<DataError>,
    },
    /// A file that is cut or damaged.
    #[error("{file} is damaged: {message}")]
    Corrupt {
        /// The file.
        file: String,
        /// The decoder's words.
        message: String,
    },
    /// The same item is described twice.
    #[error(
        "{file}, row {row}: row {first_row} of {first_file} describes the same item; leave one row for each item"
    )]
    DuplicateItem {
        /// The file.
        file: String,
        /// Row, counted from 1 below the header.
        row: u64,
        /// File of the item's first row.
        first_file: String,
        /// That row.
        first_row: u64,
    },
    /// Nothing is left to learn from, and which filter removed what.
    #[error("no interactions are left: {0}")]
    Empty(String),
    /// Users are asked for items, and nothing else is known of them.
    #[error("{users} users of {file} have no rows in the training or fold-in files: nothing is known of them")]
    UnknownUsers {
        /// The file or prefix of held-out interactions.
        file: String,
        /// How many users.
        users: u64,
    },
    /// A tenant without a single user: its published lists would be emptied.
    #[error(
        "scoring.tenants: {tenant} has no users, since no row has its value `{value}` in the tenant column; mend the \
         value, or leave the tenant out until it has users"
    )]
    EmptyTenant {
        /// Name of the tenant.
        tenant: String,
        /// Value that the job gives it.
        value: String,
    },
    /// A split that leaves nobody to choose or judge a model by.
    #[error("data.split leaves no {set} users of {users}: give it a larger share, or more data")]
    NobodyHeldOut {
        /// `validation` or `test`.
        set: &'static str,
        /// Users in all.
        users: u64,
    },
    /// An input isn't any more what it was when preparing began.
    #[error("the input changed while it was read: try again")]
    InputChanged,
    /// Nothing was prepared under this name.
    #[error("{uri} holds no prepared data")]
    NotPrepared {
        /// The place.
        uri: String,
    },
    /// Fields of the job contradict each other or the data.
    #[error("{0}")]
    Configuration(String),
    /// The folder for temporary files: full, or not writable; or too little memory for the sort.
    #[error("preparing needs more scratch space or memory: {0}")]
    Scratch(String),
    /// A bug, here or in the query engine.
    #[error("preparing failed: {0}")]
    Engine(String),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn describe_row(file: &str, row: u64, column: Option<&str>, problem: &str) -> String {
    match column {
        Some(column) => format!("{file}, row {row}, column `{column}`: {problem}"),
        None => format!("{file}, row {row}: {problem}"),
    }
}

fn quoted(value: Option<&str>) -> String {
    value.map(|value| format!(" ({value:?})")).unwrap_or_default()
}

impl DataError {
    /// How a worker ends that meets this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            DataError::MissingInput { .. } | DataError::NotPrepared { .. } => ExitCode::InputMissing,
            DataError::Configuration(_) => ExitCode::BadConfiguration,
            DataError::Storage(error) => error.exit_code(),
            DataError::Scratch(_) | DataError::InputChanged => ExitCode::TryAgain,
            DataError::Engine(_) => ExitCode::Bug,
            DataError::MissingColumn { .. }
            | DataError::DuplicateColumn { .. }
            | DataError::WrongType { .. }
            | DataError::BadRow { .. }
            | DataError::TooManyBadRows { .. }
            | DataError::Corrupt { .. }
            | DataError::DuplicateItem { .. }
            | DataError::Empty(_)
            | DataError::EmptyTenant { .. }
            | DataError::NobodyHeldOut { .. }
            | DataError::UnknownUsers { .. } => ExitCode::BadData,
        }
    }

    /// CamelCase reason for outcomes and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            DataError::MissingInput { .. } => "InputMissing",
            DataError::NotPrepared { .. } => "NotPrepared",
            DataError::MissingColumn { .. } => "MissingColumn",
            DataError::DuplicateColumn { .. } => "DuplicateColumn",
            DataError::WrongType { .. } => "WrongType",
            DataError::BadRow { .. } | DataError::TooManyBadRows { .. } => "BadRows",
            DataError::Corrupt { .. } => "FileDamaged",
            DataError::DuplicateItem { .. } => "DuplicateItem",
            DataError::Empty(_) => "NothingLeft",
            DataError::EmptyTenant { .. } => "EmptyTenant",
            DataError::NobodyHeldOut { .. } => "NobodyHeldOut",
            DataError::InputChanged => "InputChanged",
            DataError::UnknownUsers { .. } => "UnknownUsers",
            DataError::Configuration(_) => "BadConfiguration",
            DataError::Scratch(_) => "ScratchUnavailable",
            DataError::Engine(_) => "Bug",
            DataError::Storage(error) => match error.exit_code() {
                ExitCode::InputMissing => "InputMissing",
                ExitCode::PermissionDenied => "PermissionDenied",
                ExitCode::BadConfiguration => "BadConfiguration",
                ExitCode::BadData => "FileDamaged",
                _ => "StorageUnavailable",
            },
        }
    }

    /// The error as a sentence that quotes no value of the data: for logs, conditions and termination messages.
    pub fn without_values(&self) -> String {
        match self {
            DataError::BadRow { file, row, column, problem, .. } => {
                describe_row(file, *row, column.as_deref(), problem)
            }
            DataError::TooManyBadRows { maximum, last } => format!(
                "more than {maximum} rows can't be read (maximumBadRows), the last one: {}",
                last.without_values()
            ),
            // Of a file without a header they are its first row.
            DataError::MissingColumn { file, column, present } => {
                format!("{file} has no column `{column}` among its {}", present.len())
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn corrupt(file: &str, message: impl Display) -> DataError {
        DataError::Corrupt { file: file.to_owned(), message: cut(&message.to_string(), 300) }
    }

    pub(crate) fn scratch(message: impl Display) -> DataError {
        DataError::Scratch(message.to_string())
    }
}

/// At most `length` characters of `text`, with an ellipsis where there are more.
pub(crate) fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An object store's error while an input is read, sorted by what the caller does next.
pub(crate) fn storage_error(error: &object_store::Error) -> DataError {
    use object_store::Error;
    if let Error::Precondition { .. } = error {
        return DataError::InputChanged;
    }
    let path = match error {
        Error::NotFound { path, .. }
        | Error::PermissionDenied { path, .. }
        | Error::Unauthenticated { path, .. } => path,
        _ => "the input",
    };
    DataError::Storage(StorageError::from_object_store(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_row() -> DataError {
        DataError::BadRow {
            file: "s3://lake/a.csv".into(),
            row: 7,
            column: Some("rating".into()),
            problem: "not a number".into(),
            value: Some("secret".into()),
        }
    }

    #[test]
    fn only_the_plain_text_quotes_a_value() {
        let plain = "s3://lake/a.csv, row 7, column `rating`: not a number";
        assert_eq!(bad_row().to_string(), format!("{plain} (\"secret\")"));
        assert_eq!(bad_row().without_values(), plain);
        let many = DataError::TooManyBadRows { maximum: 3, last: Box::new(bad_row()) };
        assert!(many.to_string().contains("secret"));
        assert!(!many.without_values().contains("secret"));
        let present = vec!["ada@example.org".into(), "Heat".into()];
        let headless = DataError::MissingColumn { file: "a.csv".into(), column: "user".into(), present };
        assert!(headless.to_string().contains("ada@example.org"));
        assert_eq!(headless.without_values(), "a.csv has no column `user` among its 2");
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(cut(&"ä".repeat(50), 40), format!("{}…", "ä".repeat(40)));
        assert_eq!(cut("short", 40), "short");
    }
}
