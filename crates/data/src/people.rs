//! Merged interactions, person by person, in a scratch file that later passes stream over.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use futures::StreamExt;

use crate::DataError;
use crate::hash::user_key;
use crate::places::Part;
use crate::rules::SEPARATOR;
use crate::scan::NO_ITEM;
use crate::sort::Sorted;

/// A person and an item, merged from all rows that name both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) part: Part,
    /// Code of the item.
    pub(crate) item: u32,
    /// The newest of the rows' times.
    pub(crate) time: i64,
    /// The sum of the rows' weights; positive.
    pub(crate) weight: f64,
}

/// A person with all pairs, by part and item code.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Person {
    name: String,
    pub(crate) pairs: Vec<Pair>,
}

impl Person {
    /// The tenant's value; empty where there is none.
    pub(crate) fn tenant(&self) -> &str {
        self.name.split_once(SEPARATOR).map_or("", |(tenant, _)| tenant)
    }

    /// The user's id.
    pub(crate) fn user(&self) -> &str {
        self.name.split_once(SEPARATOR).map_or("", |(_, user)| user)
    }

    /// The stable key.
    pub(crate) fn key(&self) -> u64 {
        user_key(Some(self.tenant()), self.user())
    }
}

/// All persons, by tenant and user.
#[derive(Debug)]
pub(crate) struct People {
    path: PathBuf,
    pub(crate) persons: u64,
    /// Rows that were merged into another of their pair.
    pub(crate) duplicates: u64,
    /// Pairs whose weights don't sum to a positive number.
    pub(crate) not_positive: u64,
    /// Pairs.
    pub(crate) pairs: u64,
}

/// Bytes of a pair: slot, time and weight.
const PAIR_BYTES: usize = 24;
const BUFFER: usize = 1 << 20;

impl People {
    /// Merges sorted rows into `path`.
    pub(crate) async fn merge(mut sorted: Sorted, path: PathBuf) -> Result<People, DataError> {
        let file = File::create(&path).map_err(DataError::scratch)?;
        let people = People { path, persons: 0, duplicates: 0, not_positive: 0, pairs: 0 };
        let mut merger = Merger {
            people,
            file: BufWriter::with_capacity(BUFFER, file),
            person: None,
            pairs: Vec::new(),
            record: Vec::new(),
        };
        while let Some(batch) = sorted.rows.next().await {
            match batch {
                Ok(batch) => merger.take(&batch)?,
                Err(error) => return Err(sorted.error(error)),
            }
        }
        if let Some(error) = sorted.first_failure() {
            return Err(error);
        }
        merger.end_person()?;
        merger.file.flush().map_err(DataError::scratch)?;
        Ok(merger.people)
    }

    /// Calls `visit` for each person, in order, with its number.
    pub(crate) fn for_each(
        &self,
        mut visit: impl FnMut(u64, &Person) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut reader = Reader::open(&self.path)?;
        let mut person = Person::default();
        for number in 0..self.persons {
            reader.next_into(&mut person).map_err(DataError::scratch)?;
            visit(number, &person)?;
        }
        Ok(())
    }
}

struct Merger {
    people: People,
    file: BufWriter<File>,
    person: Option<String>,
    pairs: Vec<(u64, i64, f64)>,
    record: Vec<u8>,
}

impl Merger {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let persons = batch.column(0).as_string::<i32>();
        let slots = batch.column(1).as_primitive::<UInt64Type>();
        let times = batch.column(2).as_primitive::<Int64Type>();
        let weights = batch.column(3).as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let name = persons.value(row);
            if self.person.as_deref() != Some(name) {
                self.end_person()?;
                self.person = Some(name.to_owned());
            }
            let slot = slots.value(row);
            if slot as u32 == NO_ITEM {
                continue;
            }
            match self.pairs.last_mut() {
                // Rows come by time and weight, so the sum is the same whatever file they came from.
                Some((last, time, weight)) if *last == slot => {
                    *time = times.value(row);
                    *weight += weights.value(row);
                    self.people.duplicates += 1;
                }
                _ => self.pairs.push((slot, times.value(row), weights.value(row))),
            }
        }
        Ok(())
    }

    fn end_person(&mut self) -> Result<(), DataError> {
        let Some(name) = self.person.take() else { return Ok(()) };
        let before = self.pairs.len();
        self.pairs.retain(|(_, _, weight)| *weight > 0.0);
        self.people.not_positive += (before - self.pairs.len()) as u64;
        self.people.pairs += self.pairs.len() as u64;
        self.people.persons += 1;
        self.record.clear();
        self.record.extend((name.len() as u32).to_le_bytes());
        self.record.extend((self.pairs.len() as u32).to_le_bytes());
        self.record.extend(name.as_bytes());
        for (slot, time, weight) in self.pairs.drain(..) {
            self.record.extend(slot.to_le_bytes());
            self.record.extend(time.to_le_bytes());
            self.record.extend(weight.to_le_bytes());
        }
        self.file.write_all(&self.record).map_err(DataError::scratch)
    }
}

struct Reader {
    file: BufReader<File>,
    record: Vec<u8>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::scratch)?;
        Ok(Reader { file: BufReader::with_capacity(BUFFER, file), record: Vec::new() })
    }

    fn next_into(&mut self, person: &mut Person) -> std::io::Result<()> {
        let mut number = [0; 4];
        self.file.read_exact(&mut number)?;
        let length = u32::from_le_bytes(number) as usize;
        self.file.read_exact(&mut number)?;
        let pairs = u32::from_le_bytes(number) as usize;
        self.record.resize(length + pairs * PAIR_BYTES, 0);
        self.file.read_exact(&mut self.record)?;
        let (name, rest) = self.record.split_at(length);
        person.name.clear();
        person.name.push_str(std::str::from_utf8(name).map_err(std::io::Error::other)?);
        person.pairs.clear();
        person.pairs.extend(rest.chunks_exact(PAIR_BYTES).map(|bytes| {
            let word = |position: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[position..position + 8]);
                word
            };
            let slot = u64::from_le_bytes(word(0));
            Pair {
                part: part(slot >> 32),
                item: slot as u32,
                time: i64::from_le_bytes(word(8)),
                weight: f64::from_le_bytes(word(16)),
            }
        }));
        Ok(())
    }
}

fn part(number: u64) -> Part {
    match number {
        0 => Part::Train,
        1 => Part::ValidationFoldIn,
        2 => Part::ValidationHeldOut,
        3 => Part::TestFoldIn,
        _ => Part::TestHeldOut,
    }
}
