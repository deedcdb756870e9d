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
    /// Text or a list of texts, or integers that are written as text.
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

/// Bytes of the longest row of text: a file without line breaks, or with a quote that is never closed, isn't read into
/// memory whole.
const LONGEST_ROW: u64 = 16 << 20;

/// A row that is longer than [`LONGEST_ROW`]; the header is row 0.
fn row_too_long(file: &InputFile, row: u64) -> DataError {
    let place = if row == 0 { "its header".to_owned() } else { format!("row {row}") };
    DataError::corrupt(&file.uri, format!("{place} is longer than {LONGEST_ROW} bytes"))
}

/// Finds the wanted columns among those `present`; `None` for an optional one that isn't there.
fn locate(file: &InputFile, wanted: &[Wanted], present: &[String]) -> Result<Vec<Option<usize>>, DataError> {
    wanted
        .iter()
        .map(|column| {
            // One that the job doesn't name isn't the one without a name.
            let named = |name: &String| *name == column.name && (column.required || !name.is_empty());
            let mut found =
                present.iter().enumerate().filter(|(_, name)| named(name)).map(|(position, _)| position);
            match (found.next(), found.next()) {
                (None, _) if column.required => Err(DataError::MissingColumn {
                    file: file.uri.clone(),
                    column: column.name.clone(),
                    present: present.iter().map(|name| crate::error::cut(name, 60)).take(100).collect(),
                }),
                (_, Some(_)) => {
                    Err(DataError::DuplicateColumn { file: file.uri.clone(), column: column.name.clone() })
                }
                (position, None) => Ok(position),
            }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt};
    use rstest::rstest;

    use super::*;

    /// What was read, a line for each row: its number and texts, or what is wrong with it.
    #[derive(Default)]
    struct Rows(Vec<String>);

    impl RowSink for Rows {
        fn row(&mut self, number: u64, values: &[Value<'_>]) -> Result<(), DataError> {
            let texts: Vec<_> =
                values.iter().map(|value| value.text().unwrap_or("-".into()).into_owned()).collect();
            self.0.push(format!("{number} {}", texts.join(" ")));
            Ok(())
        }

        fn bad_row(&mut self, error: DataError) -> Result<(), DataError> {
            self.0.push(error.to_string());
            Ok(())
        }
    }

    /// Reads the columns `user`, `item` and an optional one that the job doesn't name.
    async fn rows_of(name: &str, content: impl Into<Vec<u8>>) -> Result<Vec<String>, DataError> {
        let (store, content): (Arc<dyn ObjectStore>, Vec<u8>) = (Arc::new(InMemory::new()), content.into());
        let size = content.len() as u64;
        store.put(&name.into(), content.into()).await.unwrap();
        let file = InputFile { uri: name.into(), store, path: name.into(), size, tag: String::new() };
        let wanted = [("user", true), ("item", true), ("", false)].map(|(name, required)| Wanted {
            name: name.into(),
            kind: Kind::Text,
            required,
            identifying: required,
        });
        let runtime = tokio::runtime::Handle::current();
        let reading = tokio::task::spawn_blocking(move || {
            let mut rows = Rows::default();
            read(&file, None, &wanted, &runtime, &mut rows).map(|()| rows.0)
        });
        reading.await.unwrap()
    }

    #[rstest]
    #[case::a_quote_that_is_never_closed("a.csv", "user,item\nada,heat\nbob,\"", "row 2 is longer than 16777216")]
    #[case::no_line_breaks("a.csv", "user,item", "its header is longer than 16777216")]
    #[case::json("a.jsonl", "{\"user\": \"", "row 1 is longer than 16777216")]
    #[tokio::test]
    async fn a_row_that_never_ends_is_refused(#[case] name: &str, #[case] start: &str, #[case] expected: &str) {
        let mut content = start.as_bytes().to_vec();
        content.resize(LONGEST_ROW as usize * 3 / 2, b'x');
        let error = rows_of(name, content).await.unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains(expected), "{error}");
    }

    #[tokio::test]
    async fn many_rows_may_be_longer_than_one() {
        let row = format!("{},heat\n", "a".repeat(1 << 20));
        let rows = rows_of("a.csv", format!("user,item\n{}", row.repeat(20))).await.unwrap();
        assert_eq!(rows.len(), 20);
    }

    #[tokio::test]
    async fn a_wanted_column_that_is_there_twice_is_refused() {
        let error = rows_of("a.csv", "user,item,user\nada,heat,bob\n").await.unwrap_err();
        assert_eq!(error.to_string(), "a.csv has more than one column `user`");
        let others_twice = rows_of("a.csv", "user,item,x,x\nada,heat,1,2\n").await.unwrap();
        assert_eq!(others_twice, ["1 ada heat -"]);
    }

    #[rstest]
    #[case("a.csv", ",user,item\n0,ada,heat\n")]
    #[case("a.jsonl", "{\"\": 0, \"user\": \"ada\", \"item\": \"heat\"}")]
    #[tokio::test]
    async fn a_column_without_a_name_is_none_that_the_job_leaves_unnamed(
        #[case] name: &str,
        #[case] content: &str,
    ) {
        assert_eq!(rows_of(name, content).await.unwrap(), ["1 ada heat -"]);
    }
}
