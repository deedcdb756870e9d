//! Learning curves, written beside the run while it trains: event files for TensorBoard, and JSON lines for whatever reads
//! these, such as Weights & Biases.
//!
//! Object stores don't append, so each write is a new pair of files with the epochs since the one before; TensorBoard
//! reads all event files of a folder, in the order of their names. An attempt that resumes begins with the epochs that its
//! checkpoint knows: the newest attempt's files are whole by themselves.

mod figures;
mod tensorboard;

use std::time::{Duration, Instant};

use teasel_api::progress::EpochRecord;
use teasel_storage::{Store, nonce, now_milliseconds};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use figures::json_line;
use tensorboard::events;

/// Folder of the files, in that of the run.
const FOLDER: &str = "curves";
/// How often files are written.
const INTERVAL: Duration = Duration::from_secs(10);

/// An epoch and when it was done, in milliseconds since 1970.
struct Point {
    time: i64,
    record: EpochRecord,
}

impl Point {
    fn now(record: &EpochRecord) -> Self {
        Point { time: now_milliseconds(), record: record.clone() }
    }
}

/// Rank 0's learning curves. They never hold training up, nor fail it.
pub(super) struct Curves {
    /// Items of the vocabulary.
    items: usize,
    /// Of the files' names: the writer's term, so that later owners' files come later, and a nonce.
    writer_name: String,
    segment: u32,
    since: Vec<Point>,
    written: Instant,
    interval: Duration,
    files: mpsc::UnboundedSender<(String, Vec<u8>)>,
    writer: JoinHandle<()>,
}

impl Curves {
    /// The curves of the owner by `term` of the run whose folder this is, which resumes with these epochs.
    pub(super) fn new(runtime: &Handle, run: &Store, term: u64, items: usize, history: &[EpochRecord]) -> Self {
        let (files, mut written) = mpsc::unbounded_channel::<(String, Vec<u8>)>();
        let folder = run.sub(FOLDER);
        // One after the other: TensorBoard doesn't look for files before the newest that it has read.
        let writer = runtime.spawn(async move {
            while let Some((name, bytes)) = written.recv().await {
                if let Err(error) = folder.put(&name, bytes.into()).await {
                    tracing::warn!("no learning curves written to {}: {error}", folder.uri_of(&name));
                }
            }
        });
        let since = history.iter().map(Point::now).collect();
        let writer_name = format!("{term:08}.{}", &nonce()[..8]);
        let written = Instant::now();
        Curves { items, writer_name, segment: 0, since, written, interval: INTERVAL, files, writer }
    }

    /// Writes files this often.
    #[cfg(test)]
    fn every(self, interval: Duration) -> Self {
        Curves { interval, ..self }
    }

    /// Adds an epoch that is done.
    pub(super) fn add(&mut self, record: &EpochRecord) {
        self.since.push(Point::now(record));
        if self.written.elapsed() >= self.interval {
            self.write();
        }
    }

    /// Writes what isn't written yet, and waits for it so long.
    pub(super) async fn finish(mut self, patience: Duration) {
        self.write();
        let Curves { files, writer, .. } = self;
        drop(files);
        if tokio::time::timeout(patience, writer).await.is_err() {
            tracing::warn!("the last learning curves aren't written: storage is slow");
        }
    }

    fn write(&mut self) {
        if self.since.is_empty() {
            return;
        }
        let name = format!("{}.{:06}", self.writer_name, self.segment);
        let lines: String = self.since.iter().map(|point| json_line(point) + "\n").collect();
        let files = [
            (format!("events.out.tfevents.{name}"), events(&self.since, self.items, self.segment == 0)),
            (format!("epochs.{name}.jsonl"), lines.into_bytes()),
        ];
        // Nobody receives where the runtime goes down, and then nothing is to be written.
        files.into_iter().for_each(|file| drop(self.files.send(file)));
        self.since.clear();
        self.segment += 1;
        self.written = Instant::now();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use teasel_storage::testing::store_over;

    use super::*;

    #[tokio::test]
    async fn every_epoch_is_in_one_pair_of_files_and_in_order() {
        let run = store_over(Arc::new(InMemory::new())).sub("runs/a");
        let record = |epoch| EpochRecord { epoch, ..EpochRecord::default() };
        let mut curves = Curves::new(&Handle::current(), &run, 3, 40, &[record(1)]);
        for epoch in 2..=5 {
            curves.add(&record(epoch));
            if epoch == 2 {
                curves.write();
            }
        }
        curves.finish(Duration::from_secs(60)).await;
        let mut names: Vec<String> =
            run.sub(FOLDER).list("").await.unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(
            names[0].starts_with("epochs.00000003.")
                && names[0].ends_with(".000000.jsonl")
                && names[3].contains("tfevents"),
            "{names:?}"
        );
        let mut epochs = Vec::new();
        for name in &names[..2] {
            let lines = run.sub(FOLDER).get(name).await.unwrap();
            for line in std::str::from_utf8(&lines).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                epochs.push(line["epoch"].as_u64().unwrap());
            }
        }
        assert_eq!(epochs, [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn files_are_written_while_the_run_trains_as_often_as_is_due() {
        let run = store_over(Arc::new(InMemory::new())).sub("runs/a");
        let record = |epoch| EpochRecord { epoch, ..EpochRecord::default() };
        for (interval, files) in [(Duration::ZERO, 6), (Duration::from_secs(3600), 0)] {
            let folder = run.sub(&format!("{interval:?}"));
            let mut curves = Curves::new(&Handle::current(), &folder, 1, 40, &[]).every(interval);
            (1..=3).for_each(|epoch| curves.add(&record(epoch)));
            // They are written beside.
            let deadline = Instant::now() + Duration::from_secs(60);
            while folder.list("").await.unwrap().len() < files && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(folder.list("").await.unwrap().len(), files, "{interval:?}");
            curves.finish(Duration::from_secs(60)).await;
            assert_eq!(folder.list("").await.unwrap().len(), files.max(2), "{interval:?}");
        }
    }
}
