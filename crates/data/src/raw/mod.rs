//! Reading raw files row by row, whatever their format, so that every complaint can name a file, a row and a column.

mod bytes;
mod delimited;
mod format;
mod json;
mod parquet;
mod value;

use teasel_api::resolved::Format;

use crate::DataError;
use crate::places::InputFile;

pub(crate) use value::{Value, parse_number, parse_time};

/// A column to read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its name in the file.
    pub(crate) name: String,
    /// What it must hold.
    pub(crate) kind: Kind,
    /// Whether the file must have it.
    pub(crate) required: bool,
    /// Whether no row makes sense without it.
    pub(crate) identifying: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, or integers that are written as text.
    Text,
    /// A number, or text that is one.
    Number,
    /// A point in time.
    Time,
    /// Text or a list of texts.
    List,
}

/// Takes rows in order. Values come in the order of the wanted columns; the number counts from 1 below the header.
pub(crate) trait RowSink {
    /// Takes a row.
    fn row(&mut self, number: u64, values: &[Value<'_>]) -> Result<(), DataError>;
    /// Takes the news that a row can't be read, and decides whether to go on.
    fn bad_row(&mut self, error: DataError) -> Result<(), DataError>;
}

/// Reads `file` from a thread that may block, and hands its rows to `sink`. Runs inside a tokio runtime's blocking
/// pool: the download is driven by the runtime that `runtime` names.
pub(crate) fn read(
    file: &InputFile,
    format: Option<Format>,
    wanted: &[Wanted],
    runtime: &tokio::runtime::Handle,
    sink: &mut dyn RowSink,
) -> Result<(), DataError> {
    let (format, compression) = format::of_file(&file.uri, format)?;
    match format {
        Format::Parquet => parquet::read(file, wanted, runtime, sink),
        Format::JsonLines => json::read(file, bytes::open(file, compression, runtime), wanted, sink),
        Format::Csv | Format::Tsv | Format::RecBole => {
            delimited::read(file, bytes::open(file, compression, runtime), format, wanted, sink)
        }
    }
}

/// Finds the wanted columns among those `present`; `None` for an optional one that isn't there.
fn locate(file: &InputFile, wanted: &[Wanted], present: &[String]) -> Result<Vec<Option<usize>>, DataError> {
    wanted
        .iter()
        .map(|column| match present.iter().position(|name| *name == column.name) {
            None if column.required => Err(DataError::MissingColumn {
                file: file.uri.clone(),
                column: column.name.clone(),
                present: present.iter().map(|name| crate::error::cut(name, 60)).take(100).collect(),
            }),
            found => Ok(found),
        })
        .collect()
}
