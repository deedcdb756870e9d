//! JSON lines: one object per line.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Map, Value as Json};

use super::bytes::read_error;
use super::{LONGEST_ROW, RowSink, Value, Wanted, locate, row_too_long};
use crate::DataError;
use crate::places::InputFile;

pub(super) fn read(
    file: &InputFile,
    bytes: impl Read,
    wanted: &[Wanted],
    sink: &mut dyn RowSink,
) -> Result<(), DataError> {
    let mut reader = BufReader::with_capacity(1 << 18, bytes);
    let mut line = Vec::new();
    let mut number = 0;
    let mut first = true;
    // A required column may be null in any row, but not absent from all: told at the end.
    let mut seen = vec![false; wanted.len()];
    let mut present = Vec::new();
    loop {
        line.clear();
        let mut row = reader.by_ref().take(LONGEST_ROW);
        if row.read_until(b'\n', &mut line).map_err(|error| read_error(file, error))? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST_ROW {
            return Err(row_too_long(file, number + 1));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        number += 1;
        let object: Map<String, Json> = match serde_json::from_slice(&line) {
            Ok(object) => object,
            Err(error) => {
                let problem = format!("not a JSON object (position {})", error.column());
                sink.bad_row(DataError::BadRow {
                    file: file.uri.clone(),
                    row: number,
                    column: None,
                    problem,
                    value: None,
                })?;
                continue;
            }
        };
        if first {
            first = false;
            present = object.keys().cloned().collect();
            let identifying: Vec<Wanted> = wanted.iter().filter(|column| column.identifying).cloned().collect();
            locate(file, &identifying, &present)?;
        }
        let mut values = Vec::with_capacity(wanted.len());
        for (column, seen) in wanted.iter().zip(&mut seen) {
            let found = object.get(&column.name).filter(|_| column.required || !column.name.is_empty());
            *seen |= found.is_some();
            values.push(convert(found));
        }
        sink.row(number, &values)?;
    }
    if number > 0 {
        let absent: Vec<Wanted> =
            wanted.iter().zip(&seen).filter(|(_, seen)| !**seen).map(|(column, _)| column.clone()).collect();
        locate(file, &absent, &present)?;
    }
    Ok(())
}

fn convert(found: Option<&Json>) -> Value<'_> {
    match found {
        None | Some(Json::Null) => Value::Missing,
        Some(Json::String(text)) if text.is_empty() => Value::Missing,
        Some(Json::String(text)) => Value::Text(text),
        Some(Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            (None, Some(number)) if number.fract() != 0.0 || number.abs() < 9e15 => Value::Number(number),
            _ => Value::Owned(number.to_string()),
        },
        Some(Json::Array(values)) => Value::List(
            values.iter().filter_map(|value| convert(Some(value)).text().map(|text| text.into_owned())).collect(),
        ),
        Some(other) => Value::Owned(other.to_string()),
    }
}
