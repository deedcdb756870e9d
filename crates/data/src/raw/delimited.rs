//! Comma- and tab-separated files, RecBole's atomic files among them.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use teasel_api::resolved::Format;

use super::bytes::read_error;
use super::{LONGEST_ROW, RowSink, Value, Wanted, locate, row_too_long};
use crate::DataError;
use crate::places::InputFile;

pub(super) fn read(
    file: &InputFile,
    bytes: impl Read,
    format: Format,
    wanted: &[Wanted],
    sink: &mut dyn RowSink,
) -> Result<(), DataError> {
    let mut builder = ReaderBuilder::new();
    builder.buffer_capacity(BUFFER);
    if format != Format::Csv {
        builder.delimiter(b'\t');
    }
    // Atomic files know no quotes: a title may begin with one.
    builder.quoting(format != Format::RecBole);
    let mut reader = builder.from_reader(RowByRow { bytes, taken: 0 });
    let header = reader.byte_headers().map_err(|error| csv_error(file, 0, error))?;
    let names: Vec<String> = header
        .iter()
        .enumerate()
        .map(|(position, name)| {
            let name = String::from_utf8_lossy(name);
            let name = if position == 0 { name.trim_start_matches('\u{feff}') } else { &name };
            let name = if format == Format::RecBole { name.split(':').next().unwrap_or(name) } else { name };
            name.trim().to_owned()
        })
        .collect();
    if names.iter().all(String::is_empty) {
        return Err(DataError::corrupt(&file.uri, "it has no header"));
    }
    let positions = locate(file, wanted, &names)?;
    let mut record = ByteRecord::new();
    let mut number = 0;
    loop {
        number += 1;
        reader.get_mut().taken = 0;
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => match error.kind() {
                ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    let problem = format!("{len} fields instead of {expected_len}");
                    sink.bad_row(bad(file, number, None, problem, None))?;
                    continue;
                }
                _ => return Err(csv_error(file, number, error)),
            },
        }
        let mut values = Vec::with_capacity(wanted.len());
        let mut broken = None;
        for (column, position) in wanted.iter().zip(&positions) {
            let field = position.and_then(|position| record.get(position)).unwrap_or_default();
            match std::str::from_utf8(field) {
                Ok("") => values.push(Value::Missing),
                Ok(text) => values.push(Value::Text(text)),
                Err(_) => broken = Some(column.name.clone()),
            }
        }
        match broken {
            Some(column) => sink.bad_row(bad(file, number, Some(column), "not UTF-8".into(), None))?,
            None => sink.row(number, &values)?,
        }
    }
}

fn bad(file: &InputFile, row: u64, column: Option<String>, problem: String, value: Option<String>) -> DataError {
    DataError::BadRow { file: file.uri.clone(), row, column, problem, value }
}

fn csv_error(file: &InputFile, row: u64, error: csv::Error) -> DataError {
    match error.into_kind() {
        ErrorKind::Io(error) if error.get_ref().is_some_and(|error| error.is::<RowTooLong>()) => {
            row_too_long(file, row)
        }
        ErrorKind::Io(error) => read_error(file, error),
        other => DataError::corrupt(&file.uri, format!("{other:?}")),
    }
}

/// Bytes that the reader takes at once.
const BUFFER: usize = 1 << 18;

/// A file's bytes, of which no row takes many more than [`LONGEST_ROW`]: the reader itself knows no limit.
struct RowByRow<R> {
    bytes: R,
    /// Bytes since the row began, about.
    taken: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct RowTooLong;

impl<R: Read> Read for RowByRow<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.taken > LONGEST_ROW {
            return Err(io::Error::other(RowTooLong));
        }
        let read = self.bytes.read(target)?;
        self.taken += read as u64;
        Ok(read)
    }
}
