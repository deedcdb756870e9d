//! Parquet files read from a store, range by range.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::store::pieces::{PIECE, read_range};

/// Large ranges that are read at once.
const RANGES_AT_ONCE: usize = 4;

/// A Parquet file in an object store, for `ParquetRecordBatchStreamBuilder`.
#[derive(Clone, Debug)]
pub struct ParquetObject {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl ParquetObject {
    /// The file at `path` of a whole store, which has `size` bytes. Nothing is read yet.
    pub fn new(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Self {
        ParquetObject { store, path, size }
    }

    /// Refuses what a damaged file says of itself: the store's own error would say that the store is at fault.
    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start <= range.end && range.end <= self.size {
            return Ok(());
        }
        Err(ParquetError::General(format!("it refers to bytes {range:?} of {}", self.size)))
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for ParquetObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            self.check(&range)?;
            read_range(&*self.store, &self.path, range).map_err(external).await
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        async move {
            ranges.iter().try_for_each(|range| self.check(range))?;
            if bytes <= PIECE {
                return self.store.get_ranges(&self.path, &ranges).await.map_err(external);
            }
            let read = |range| read_range(&*self.store, &self.path, range).map_err(external);
            stream::iter(ranges).map(read).buffered(RANGES_AT_ONCE).try_collect().await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let size = self.size;
        let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
        async move { reader.load_and_finish(self, size).await.map(Arc::new) }.boxed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_file_that_refers_past_its_end_is_damaged_and_the_store_is_not_at_fault() {
        let (store, path) = (Arc::new(InMemory::new()), Path::from("x.parquet"));
        store.put(&path, vec![0; 10].into()).await.unwrap();
        let mut object = ParquetObject::new(store, path, 10);
        assert_eq!(object.get_bytes(2..10).await.unwrap().len(), 8);
        for range in [2..11, 40..50] {
            let one = object.get_bytes(range.clone()).await;
            let many = object.get_byte_ranges(vec![0..1, range]).await;
            assert!(matches!(one, Err(ParquetError::General(_))), "{one:?}");
            assert!(matches!(many, Err(ParquetError::General(_))), "{many:?}");
        }
    }
}
