//! Parquet files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;
use teasel_storage::ParquetObject;

use super::{Kind, RowSink, Value, Wanted, locate};
use crate::DataError;
use crate::places::InputFile;

const BATCH_ROWS: usize = 8192;

pub(super) fn read(
    file: &InputFile,
    wanted: &[Wanted],
    runtime: &tokio::runtime::Handle,
    sink: &mut dyn RowSink,
) -> Result<(), DataError> {
    let failed = |error: ParquetError| parquet_error(&file.uri, error);
    let source = ParquetObject::new(file.store.clone(), file.path.clone(), file.size);
    let builder = undamaged(file, || runtime.block_on(ParquetRecordBatchStreamBuilder::new(source)))?;
    let builder = builder.map_err(failed)?;
    let schema = builder.schema().clone();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let positions = locate(file, wanted, &names)?;
    for (column, position) in wanted.iter().zip(&positions) {
        if let Some(position) = position {
            let found = schema.field(*position).data_type();
            if target(column.kind, found).is_none() {
                return Err(DataError::WrongType {
                    file: file.uri.clone(),
                    column: column.name.clone(),
                    found: found.to_string(),
                    expected: expected(column.kind),
                });
            }
        }
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), positions.iter().flatten().copied());
    let mut stream = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed)?;
    let mut number = 0;
    while let Some(batch) = undamaged(file, || runtime.block_on(stream.next()))? {
        rows_of(file, &batch.map_err(failed)?, wanted, &mut number, sink)?;
    }
    Ok(())
}

/// Decoders panic at some files that are altered or cut.
fn undamaged<T>(file: &InputFile, decode: impl FnOnce() -> T) -> Result<T, DataError> {
    // The panic itself is on standard error. It may quote values.
    catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_| DataError::corrupt(&file.uri, "its decoder panicked; the log says where"))
}

fn rows_of(
    file: &InputFile,
    batch: &RecordBatch,
    wanted: &[Wanted],
    number: &mut u64,
    sink: &mut dyn RowSink,
) -> Result<(), DataError> {
    let read = |column: &Wanted| -> Result<Option<Column>, DataError> {
        let Some(array) = batch.column_by_name(&column.name) else { return Ok(None) };
        let Some(kind) = target(column.kind, array.data_type()) else { return Ok(None) };
        let values = cast(array, &kind).map_err(|error| DataError::corrupt(&file.uri, error))?;
        Ok(Some(Column { nulls: array.logical_nulls(), values }))
    };
    let columns: Vec<Option<Column>> = wanted.iter().map(read).collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows() {
        *number += 1;
        let lost = |column: &Option<Column>| column.as_ref().is_some_and(|column| column.has_lost(row));
        if let Some(place) = columns.iter().position(lost) {
            sink.bad_row(DataError::BadRow {
                file: file.uri.clone(),
                row: *number,
                column: Some(wanted[place].name.clone()),
                problem: format!("can't be read as {}", expected(wanted[place].kind)),
                value: None,
            })?;
            continue;
        }
        let values: Vec<Value<'_>> = columns
            .iter()
            .map(|column| column.as_ref().map_or(Value::Missing, |column| cell(&column.values, row)))
            .collect();
        sink.row(*number, &values)?;
    }
    Ok(())
}

/// A column as its cells are read.
struct Column {
    values: ArrayRef,
    /// Cells that hold nothing in the file.
    nulls: Option<NullBuffer>,
}

impl Column {
    /// Whether a cell holds something in the file that its type here can't: text that isn't UTF-8, a time out of range.
    fn has_lost(&self, row: usize) -> bool {
        self.values.is_null(row) && self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }
}

fn cell(array: &ArrayRef, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Missing;
    }
    match array.data_type() {
        DataType::Utf8 => match array.as_string::<i32>().value(row) {
            "" => Value::Missing,
            text => Value::Text(text),
        },
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Value::Micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => {
            let texts = array.as_list::<i32>().value(row);
            Value::List(
                texts
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        }
        _ => Value::Missing,
    }
}

/// What a column of type `found` is cast to before its cells are read; `None` where it can't hold the kind.
fn target(kind: Kind, found: &DataType) -> Option<DataType> {
    let textual = |found: &DataType| {
        matches!(
            found,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::Null
        )
    };
    if let DataType::Dictionary(_, values) = found {
        return target(kind, values);
    }
    if textual(found) {
        return Some(DataType::Utf8);
    }
    match kind {
        Kind::Text | Kind::List if found.is_integer() => Some(DataType::Utf8),
        Kind::Number if found.is_numeric() => Some(DataType::Float64),
        Kind::Time if found.is_integer() => Some(DataType::Int64),
        Kind::Time if found.is_floating() => Some(DataType::Float64),
        Kind::Time if matches!(found, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        Kind::List => match found {
            DataType::List(field) | DataType::LargeList(field) if textual(field.data_type()) => {
                Some(DataType::new_list(DataType::Utf8, true))
            }
            _ => None,
        },
        _ => None,
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text or an integer",
        Kind::Number => "a number",
        Kind::Time => "a timestamp, date, number or text",
        Kind::List => "text, an integer or a list of texts",
    }
}

/// Sorts an error of reading: of the store, or of the file's content.
pub(crate) fn parquet_error(uri: &str, error: ParquetError) -> DataError {
    if let ParquetError::External(cause) = &error
        && let Some(store) = cause.downcast_ref::<object_store::Error>()
    {
        return crate::storage_error(store);
    }
    DataError::corrupt(uri, error)
}
