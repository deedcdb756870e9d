//! The first pass: raw files become small fixed columns, ready to be sorted by person.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Float64Builder, Int64Builder, RecordBatch, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use teasel_api::resolved::OnBadRows;
use tokio::sync::mpsc;

use crate::DataError;
use crate::places::{InputFile, Part};
use crate::progress::Progress;
use crate::raw::{RowSink, Value};
use crate::rules::{Rules, SEPARATOR, Verdict};

/// Item code of a row that only says that its person exists.
pub(crate) const NO_ITEM: u32 = u32::MAX;

/// Where batches go.
pub(crate) type BatchSender = mpsc::Sender<Result<RecordBatch, DataFusionError>>;

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// The sorted columns: the person (`tenant NUL user`), part and item code in one number, time, weight. All are sort
/// keys: rows that tie are equal, so the order of the files' threads never shows.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("person", DataType::Utf8, false),
        Field::new("slot", DataType::UInt64, false),
        Field::new("time", DataType::Int64, false),
        Field::new("weight", DataType::Float64, false),
    ]))
}

/// Part and item code as one number.
pub(crate) fn slot(part: Part, item: u32) -> u64 {
    ((part as u64) << 32) | u64::from(item)
}

/// What all files' threads share.
pub(crate) struct Scan {
    rules: Rules,
    on_bad_rows: OnBadRows,
    maximum_bad_rows: u64,
    bad_rows: AtomicU64,
    counts: Mutex<Counts>,
    items: Mutex<HashMap<Box<str>, u32>>,
    low_rated: Mutex<HashSet<Box<str>>>,
    progress: Arc<Progress>,
}

/// What became of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    pub(crate) bad_rows: u64,
    pub(crate) unlisted_events: u64,
    pub(crate) low_ratings: u64,
    /// Rows of each listed event.
    pub(crate) events: BTreeMap<String, u64>,
}

impl Scan {
    pub(crate) fn new(
        rules: Rules,
        on_bad_rows: OnBadRows,
        maximum_bad_rows: u64,
        progress: Arc<Progress>,
    ) -> Self {
        Scan {
            rules,
            on_bad_rows,
            maximum_bad_rows,
            bad_rows: AtomicU64::new(0),
            counts: Mutex::default(),
            items: Mutex::default(),
            low_rated: Mutex::default(),
            progress,
        }
    }

    /// The counts, every item's id in the order of the codes, and the ids of those others that have low ratings alone.
    pub(crate) fn finish(&self) -> (Counts, Vec<Box<str>>, HashSet<Box<str>>) {
        let mut counts = lock(&self.counts).clone();
        counts.bad_rows = self.bad_rows.load(Ordering::Relaxed);
        let codes = std::mem::take(&mut *lock(&self.items));
        let mut low_rated = std::mem::take(&mut *lock(&self.low_rated));
        low_rated.retain(|id| !codes.contains_key(id));
        let mut ids: Vec<(Box<str>, u32)> = codes.into_iter().collect();
        ids.sort_unstable_by_key(|(_, code)| *code);
        (counts, ids.into_iter().map(|(id, _)| id).collect(), low_rated)
    }

    /// Reads `file`, whose rows play `part`, and sends batches until the receiver hangs up.
    pub(crate) fn read(
        &self,
        file: &InputFile,
        part: Part,
        format: Option<teasel_api::resolved::Format>,
        runtime: &tokio::runtime::Handle,
        sender: &BatchSender,
    ) -> Result<(), DataError> {
        let mut sink = Sink {
            scan: self,
            file,
            part,
            sender,
            columns: Columns::default(),
            pending: Vec::new(),
            counts: Counts::default(),
            low_rated: HashSet::new(),
        };
        crate::raw::read(file, format, &self.rules.wanted(), runtime, &mut sink)?;
        sink.flush()?;
        lock(&self.low_rated).extend(sink.low_rated);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking thread leaves whole values behind: only counters and codes are ever changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Columns {
    person: StringBuilder,
    slot: UInt64Builder,
    time: Int64Builder,
    weight: Float64Builder,
    rows: usize,
}

struct Sink<'a> {
    scan: &'a Scan,
    file: &'a InputFile,
    part: Part,
    sender: &'a BatchSender,
    columns: Columns,
    /// Item ids of the rows of `columns`, `None` for rows that don't count: looked up under one lock per batch.
    pending: Vec<Option<Box<str>>>,
    counts: Counts,
    /// Ids of items with a low rating, of all rows so far.
    low_rated: HashSet<Box<str>>,
}

impl Sink<'_> {
    fn flush(&mut self) -> Result<(), DataError> {
        {
            let mut codes = lock(&self.scan.items);
            for id in self.pending.drain(..) {
                let code = match id {
                    None => NO_ITEM,
                    Some(id) => match codes.get(&id) {
                        Some(code) => *code,
                        None => {
                            let code = u32::try_from(codes.len())
                                .ok()
                                .filter(|code| *code < NO_ITEM)
                                .ok_or_else(|| DataError::Configuration("more than 4 billion items".into()))?;
                            codes.insert(id, code);
                            code
                        }
                    },
                };
                self.columns.slot.append_value(slot(self.part, code));
            }
        }
        {
            let counts = std::mem::take(&mut self.counts);
            let mut total = lock(&self.scan.counts);
            total.rows += counts.rows;
            total.unlisted_events += counts.unlisted_events;
            total.low_ratings += counts.low_ratings;
            for (event, count) in counts.events {
                *total.events.entry(event).or_default() += count;
            }
            self.scan.progress.add_rows(counts.rows);
        }
        if self.columns.rows == 0 {
            return Ok(());
        }
        let mut columns = std::mem::take(&mut self.columns);
        let batch = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(columns.person.finish()),
                Arc::new(columns.slot.finish()),
                Arc::new(columns.time.finish()),
                Arc::new(columns.weight.finish()),
            ],
        )
        .map_err(|error| DataError::Engine(error.to_string()))?;
        // Nobody listens where another file's thread has failed; that thread's error is the one to tell.
        self.sender.blocking_send(Ok(batch)).map_err(|_| DataError::Engine("the sort was given up".into()))
    }
}

impl RowSink for Sink<'_> {
    fn row(&mut self, number: u64, values: &[Value<'_>]) -> Result<(), DataError> {
        let row = match self.scan.rules.judge(values) {
            Ok(row) => row,
            Err(problem) => {
                return self.bad_row(DataError::BadRow {
                    file: self.file.uri.clone(),
                    row: number,
                    column: Some(problem.column),
                    problem: problem.problem.to_owned(),
                    value: problem.value,
                });
            }
        };
        self.counts.rows += 1;
        if let Some(event) = row.event {
            match self.counts.events.get_mut(event) {
                Some(count) => *count += 1,
                None => {
                    self.counts.events.insert(event.to_owned(), 1);
                }
            }
        }
        use std::fmt::Write;
        // Writing to a builder can't fail.
        let _ = write!(self.columns.person, "{}{SEPARATOR}{}", row.tenant, row.user);
        self.columns.person.append_value("");
        let (item, weight) = match row.verdict {
            Verdict::Counts(weight) => (Some(row.item.as_ref().into()), weight),
            Verdict::UnlistedEvent => {
                self.counts.unlisted_events += 1;
                (None, 0.0)
            }
            Verdict::LowRating => {
                self.counts.low_ratings += 1;
                if !self.low_rated.contains(row.item.as_ref()) {
                    self.low_rated.insert(row.item.as_ref().into());
                }
                (None, 0.0)
            }
        };
        self.pending.push(item);
        self.columns.time.append_value(row.time);
        self.columns.weight.append_value(weight);
        self.columns.rows += 1;
        if self.columns.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn bad_row(&mut self, error: DataError) -> Result<(), DataError> {
        self.counts.rows += 1;
        if self.scan.on_bad_rows == OnBadRows::Fail {
            return Err(error);
        }
        let before = self.scan.bad_rows.fetch_add(1, Ordering::Relaxed);
        if before >= self.scan.maximum_bad_rows {
            return Err(DataError::TooManyBadRows { maximum: self.scan.maximum_bad_rows, last: Box::new(error) });
        }
        Ok(())
    }
}
