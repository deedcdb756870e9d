//! The external sort: DataFusion's, which spills to the scratch folder when its memory is used up.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::SortOptions as Direction;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use teasel_api::resolved::Format;

use crate::DataError;
use crate::places::{InputFile, Part};
use crate::scan::{Scan, schema};

/// Batches that wait between a file's thread and the sort.
const WAITING: usize = 4;

/// Memory that a partition needs to sort in, in bytes.
const LEAST_MEMORY: usize = 32 << 20;
const MOST_PARTITIONS: usize = 64;

/// Rows by person, slot, time and weight.
pub(crate) struct Sorted {
    /// The rows.
    pub(crate) rows: SendableRecordBatchStream,
    failure: Failure,
}

/// The first error of a file's thread: told instead of what the engine makes of it.
type Failure = Arc<Mutex<Option<DataError>>>;

impl Sorted {
    /// The error to tell, when the engine has said `error`.
    pub(crate) fn error(&self, error: DataFusionError) -> DataError {
        self.first_failure().unwrap_or_else(|| engine_error(&error))
    }

    /// The error of a file's thread, if one failed.
    pub(crate) fn first_failure(&self) -> Option<DataError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn engine_error(error: &DataFusionError) -> DataError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(message) => DataError::scratch(message),
        DataFusionError::IoError(error) => DataError::scratch(error),
        other => DataError::Engine(other.to_string()),
    }
}

/// How to read and sort.
pub(crate) struct SortOptions<'a> {
    /// Format of the files; unset means by their names.
    pub(crate) format: Option<Format>,
    /// Threads.
    pub(crate) partitions: usize,
    /// Memory before rows are spilled, about.
    pub(crate) memory_bytes: u64,
    /// Where rows are spilled.
    pub(crate) scratch: &'a Path,
}

/// Starts to read `files` and to sort their rows.
pub(crate) fn sort(
    scan: &Arc<Scan>,
    files: Vec<(Part, InputFile)>,
    options: &SortOptions<'_>,
) -> Result<Sorted, DataError> {
    let engine = |error: DataFusionError| engine_error(&error);
    let failure = Failure::default();
    let SortOptions { format, partitions, memory_bytes, scratch } = *options;
    let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
    let partitions = partitions.min(memory / LEAST_MEMORY).clamp(1, MOST_PARTITIONS);
    let mut shares: Vec<Vec<(Part, InputFile)>> = vec![Vec::new(); partitions];
    for (position, file) in files.into_iter().enumerate() {
        shares[position % partitions].push(file);
    }
    let streams = shares
        .into_iter()
        .map(|files| {
            Arc::new(FileShare { files, format, scan: scan.clone(), failure: failure.clone(), schema: schema() })
                as Arc<dyn PartitionStream>
        })
        .collect();
    let source = StreamingTableExec::try_new(schema(), streams, None, [], false, None).map_err(engine)?;
    let ordering = ordering()?;
    let sorted = SortExec::new(ordering.clone(), Arc::new(source)).with_preserve_partitioning(true);
    let plan: Arc<dyn ExecutionPlan> = Arc::new(SortPreservingMergeExec::new(ordering, Arc::new(sorted)));
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![scratch.to_owned()]))
        .with_max_temp_directory_size(u64::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(engine)?;
    // What a partition sets aside for merging what it holds sorted. A merge has the keys of all those rows in memory
    // once more, and keys are most of a row here: so half of its share.
    let reservation = memory / partitions / 2;
    let config = SessionConfig::new().with_sort_spill_reservation_bytes(reservation);
    let context = TaskContext::default().with_session_config(config).with_runtime(runtime);
    let rows = execute_stream(plan, Arc::new(context)).map_err(engine)?;
    Ok(Sorted { rows, failure })
}

fn ordering() -> Result<LexOrdering, DataError> {
    let ascending = Direction { descending: false, nulls_first: true };
    let schema = schema();
    let keys: Vec<PhysicalSortExpr> = schema
        .fields()
        .iter()
        .map(|field| Ok(PhysicalSortExpr::new(col(field.name(), &schema)?, ascending)))
        .collect::<Result<_, DataFusionError>>()
        .map_err(|error| engine_error(&error))?;
    LexOrdering::new(keys).ok_or_else(|| DataError::Engine("no sort keys".into()))
}

/// A partition: some of the files, read one after the other by a thread that may block.
struct FileShare {
    files: Vec<(Part, InputFile)>,
    format: Option<Format>,
    scan: Arc<Scan>,
    failure: Failure,
    schema: SchemaRef,
}

impl fmt::Debug for FileShare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FileShare({} files)", self.files.len())
    }
}

impl PartitionStream for FileShare {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(self.schema.clone(), WAITING);
        let (files, format, scan, failure) =
            (self.files.clone(), self.format, self.scan.clone(), self.failure.clone());
        let sender = stream.tx();
        let runtime = tokio::runtime::Handle::current();
        stream.spawn_blocking(move || {
            for (part, file) in &files {
                let read = catch_panic(&file.uri, || scan.read(file, *part, format, &runtime, &sender));
                if let Err(error) = read {
                    let message = error.without_values();
                    // Where the sort has hung up, its own error is the one to tell.
                    if !sender.is_closed() {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                    return Err(DataFusionError::Execution(message));
                }
            }
            Ok(())
        });
        stream.build()
    }
}

/// A panic inside of `read` as an error that names the file: on its own it would end the process without an outcome.
fn catch_panic(file: &str, read: impl FnOnce() -> Result<(), DataError>) -> Result<(), DataError> {
    // The panic itself is on standard error. It may quote values.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(DataError::Engine(format!("reading {file} panicked; the log says where"))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use teasel_api::outcome::ExitCode;

    use super::*;

    #[test]
    fn a_panic_while_a_file_is_read_is_an_error_that_names_the_file() {
        catch_panic("a.csv", || Ok(())).unwrap();
        let error = catch_panic("a.csv", || panic!("ada@example.org")).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Bug);
        assert!(error.to_string().contains("a.csv") && !error.to_string().contains("ada"), "{error}");
    }
}
