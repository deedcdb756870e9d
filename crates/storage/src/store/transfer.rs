//! Objects' contents, up and down, however large.

use std::path::Path as FilePath;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryFutureExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Store;
use super::pieces::read_in_pieces;
use crate::StorageError;
use crate::local::{self, Naming};
use crate::manifest::File;

/// Largest object that is written in one request, and the usual size of a larger one's parts: the client gives a
/// request half a minute, with its body.
const PART: u64 = 8 << 20;
/// Parts of an object that are under way at once: few, since they share the line, and several objects may do so.
const PARTS_AT_ONCE: usize = 2;
/// Most parts of an object. Stores take 10,000.
const MOST_PARTS: u64 = 9_000;
/// How long the end of an upload that failed may take.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

impl Store {
    /// An object's bytes.
    pub async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let failed = |error| self.error(path, error);
        let (meta, mut pieces) = read_in_pieces(self.object_store(), self.path(path)).await.map_err(failed)?;
        let first = pieces.try_next().await.map_err(failed)?.unwrap_or_default();
        if first.len() as u64 == meta.size {
            return Ok(first);
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(meta.size).unwrap_or_default());
        bytes.extend_from_slice(&first);
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Writes an object, over any that has its name.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        if let Some(file) = self.file(path) {
            return self.blocking(path, move || local::write(&file, &bytes, Naming::Overwrite)).await;
        }
        if bytes.len() as u64 > PART {
            let size = usize::try_from(part_size(bytes.len() as u64)).unwrap_or(usize::MAX);
            let parts =
                (0..bytes.len()).step_by(size).map(|start| Ok(bytes.slice(start..bytes.len().min(start + size))));
            return self.put_parts(path, stream::iter(parts)).await;
        }
        self.inner
            .put(&self.path(path), PutPayload::from_bytes(bytes))
            .await
            .map_err(|error| self.error(path, error))?;
        Ok(())
    }

    /// Uploads the local file `source`, in parts where it is large, and tells its size and checksum under `path`'s name.
    pub async fn put_file(&self, path: &str, source: &FilePath) -> Result<File, StorageError> {
        let local = |error: std::io::Error| StorageError::from_file(source.display().to_string(), &error);
        let file = {
            let (name, source) = (path.to_owned(), source.to_owned());
            tokio::task::spawn_blocking(move || describe_local(name, &source))
                .await
                .map_err(|error| local(std::io::Error::other(error)))?
                .map_err(local)?
        };
        if let Some(target) = self.file(path) {
            let source = source.to_owned();
            self.blocking(path, move || local::copy(&source, &target)).await?;
            return Ok(file);
        }
        if file.size <= PART {
            self.put(path, tokio::fs::read(source).await.map_err(local)?.into()).await?;
            return Ok(file);
        }
        let size = part_size(file.size);
        let source = tokio::fs::File::open(source).await.map_err(local)?;
        let parts = stream::try_unfold(source, |mut source| async move {
            let mut part = Vec::new();
            (&mut source).take(size).read_to_end(&mut part).await.map_err(local)?;
            Ok((!part.is_empty()).then(|| (Bytes::from(part), source)))
        });
        self.put_parts(path, parts).await.map(|()| file)
    }

    /// Writes an object of several parts, each of which has its own time and its own tries.
    async fn put_parts(
        &self,
        path: &str,
        parts: impl Stream<Item = Result<Bytes, StorageError>>,
    ) -> Result<(), StorageError> {
        let failed = |error| self.error(path, error);
        let mut upload = self.inner.put_multipart(&self.path(path)).await.map_err(failed)?;
        let sent = parts
            .map_ok(|part| upload.put_part(part.into()).map_err(failed))
            .try_buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await;
        let done = match sent {
            Ok(()) => match upload.complete().await {
                // The answer to an earlier try may have been lost: then the upload is over, and its object is there.
                Err(object_store::Error::NotFound { .. }) if self.head(path).await?.is_some() => Ok(()),
                completed => completed.map(|_| ()).map_err(failed),
            },
            Err(error) => Err(error),
        };
        if done.is_err() {
            // Parts that are left behind cost money until they are aborted. Not at any price: a store that is out of
            // reach has had its time.
            let _ = tokio::time::timeout(ABORT_PATIENCE, upload.abort()).await;
        }
        done
    }

    /// Downloads an object to the local file `target`, checking it against `expected` on the way.
    pub async fn get_file(&self, path: &str, expected: &File, target: &FilePath) -> Result<(), StorageError> {
        let File { size, sha256, .. } = self.download(path, target).await?;
        expected.check(size, &sha256, || self.uri_of(path))
    }

    /// Downloads an object to the local file `target`, and describes what came.
    pub async fn download(&self, path: &str, target: &FilePath) -> Result<File, StorageError> {
        let local = |error: std::io::Error| StorageError::from_file(target.display().to_string(), &error);
        let failed = |error| self.error(path, error);
        let (_, mut pieces) = read_in_pieces(self.object_store(), self.path(path)).await.map_err(failed)?;
        let mut out = tokio::fs::File::create(target).await.map_err(local)?;
        let (mut hasher, mut size) = (Sha256::new(), 0u64);
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            hasher.update(&piece);
            size += piece.len() as u64;
            out.write_all(&piece).await.map_err(local)?;
        }
        out.flush().await.map_err(local)?;
        Ok(File { name: path.to_owned(), size, sha256: hex::encode(hasher.finalize()) })
    }
}

fn describe_local(name: String, path: &FilePath) -> std::io::Result<File> {
    let mut hasher = Sha256::new();
    let size = std::io::copy(&mut std::fs::File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(File { name, size, sha256: hex::encode(hasher.finalize()) })
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Size of the parts of an object that has `size` bytes. All but the last are of the same size, as some stores demand.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST_PARTS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use rstest::rstest;
    use teasel_api::outcome::ExitCode;

    use super::*;
    use crate::testing::{Fault, FaultyStore, Operation, store_over};

    /// Bytes that tell their place.
    fn content(size: u64) -> Vec<u8> {
        (0..size).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[rstest]
    #[case::in_one_request(1000, Operation::Put)]
    #[case::in_parts(PART + 1, Operation::Part)]
    #[tokio::test]
    async fn an_upload_that_fails_is_an_error_and_another_one_gets_through(
        #[case] size: u64,
        #[case] operation: Operation,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::write(&source, content(size)).unwrap();
        let faulty = FaultyStore::new(Arc::new(InMemory::new()));
        let store = store_over(Arc::new(faulty.clone()));
        faulty.inject(operation, "object", Fault::ServerError);
        let error = store.put_file("object", &source).await.unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::StorageUnavailable);
        assert_eq!(store.get_optional("object").await.unwrap(), None);
        let file = store.put_file("object", &source).await.unwrap();
        assert!(store.get_checked(&file).await.unwrap() == content(size));
    }

    #[rstest]
    #[case(0)]
    #[case(PART)]
    #[case(PART + 1)]
    #[case(3 * PART)]
    #[tokio::test]
    async fn an_object_is_whole_whether_it_goes_in_parts_or_not(#[case] size: u64) {
        let store = store_over(Arc::new(InMemory::new()));
        store.put("object", content(size).into()).await.unwrap();
        assert!(store.get("object").await.unwrap() == content(size));
    }

    #[test]
    fn even_a_huge_object_has_no_more_parts_than_a_store_takes() {
        assert_eq!(part_size(PART + 1), PART);
        assert!((5u64 << 40).div_ceil(part_size(5 << 40)) <= 10_000);
    }
}
