//! Objects that are read piece by piece: the client gives a request half a minute, with its body, so the time for a whole
//! object must not depend on its size.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, Result};

/// Bytes that are asked for at once.
pub(crate) const PIECE: u64 = 16 << 20;

/// What is known of an object, and its bytes in order. Each piece has its own time and its own tries, and is in memory
/// before it is handed out: however slowly pieces are taken, no request waits for that.
///
/// An object that changes in between is an error, [`object_store::Error::Precondition`].
pub async fn read_in_pieces(
    store: Arc<dyn ObjectStore>,
    path: Path,
) -> Result<(ObjectMeta, BoxStream<'static, Result<Bytes>>)> {
    let found = store.get(&path).await?;
    let meta = found.meta.clone();
    if meta.size <= PIECE {
        return Ok((meta, stream::once(found.bytes()).boxed()));
    }
    let Some(tag) = meta.e_tag.clone() else {
        // Nothing would tell one version's pieces from another's.
        return Ok((meta, found.into_stream()));
    };
    let (first, start) = match found.payload {
        // Of a server, which has begun to answer.
        GetResultPayload::Stream(body) => (stream::once(beginning(body)).boxed(), PIECE),
        GetResultPayload::File(..) => (stream::empty().boxed(), 0),
    };
    let rest = stream::iter(pieces_of(start..meta.size)).then(move |range| {
        let (store, path) = (Arc::clone(&store), path.clone());
        let options = GetOptions::new().with_range(Some(range)).with_if_match(Some(tag.clone()));
        async move { store.get_opts(&path, options).await?.bytes().await }
    });
    Ok((meta, first.chain(rest).boxed()))
}

/// The bytes of `range` of an object, however many.
#[cfg(feature = "parquet")]
pub(crate) async fn read_range(store: &dyn ObjectStore, path: &Path, range: Range<u64>) -> Result<Bytes> {
    if range.end.saturating_sub(range.start) <= PIECE {
        return store.get_range(path, range).await;
    }
    let mut bytes = BytesMut::new();
    for piece in pieces_of(range) {
        bytes.extend_from_slice(&store.get_range(path, piece).await?);
    }
    Ok(bytes.freeze())
}

fn pieces_of(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let end = range.end;
    range.step_by(PIECE as usize).map(move |start| start..end.min(start + PIECE))
}

/// The first piece of `body`. What follows is given up.
async fn beginning(mut body: BoxStream<'static, Result<Bytes>>) -> Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(PIECE as usize);
    while bytes.len() < PIECE as usize
        && let Some(chunk) = body.try_next().await?
    {
        let missing = PIECE as usize - bytes.len();
        bytes.extend_from_slice(&chunk[..missing.min(chunk.len())]);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;
    use rstest::rstest;

    use super::*;

    /// Bytes that tell their place.
    fn content(size: u64) -> Bytes {
        (0..size).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[rstest]
    #[case(0, 1)]
    #[case(PIECE, 1)]
    #[case(PIECE + 1, 2)]
    #[case(2 * PIECE + 5, 3)]
    #[tokio::test]
    async fn pieces_make_the_whole(#[case] size: u64, #[case] pieces: usize) {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(local)];
        for store in stores {
            let path = Path::from("object");
            store.put(&path, content(size).into()).await.unwrap();
            let (meta, stream) = read_in_pieces(store, path).await.unwrap();
            let found: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert_eq!((meta.size, found.len()), (size, pieces));
            assert!(found.concat() == content(size));
        }
    }

    #[tokio::test]
    async fn an_object_that_changes_between_two_pieces_is_an_error() {
        let (store, path): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), Path::from("object"));
        store.put(&path, content(PIECE + 1).into()).await.unwrap();
        let (_, mut pieces) = read_in_pieces(Arc::clone(&store), path.clone()).await.unwrap();
        assert!(pieces.try_next().await.unwrap().unwrap() == content(PIECE));
        store.put(&path, vec![0; PIECE as usize + 1].into()).await.unwrap();
        assert!(matches!(pieces.try_next().await, Err(object_store::Error::Precondition { .. })));
    }

    #[cfg(feature = "parquet")]
    #[tokio::test]
    async fn a_range_may_be_larger_than_a_piece() {
        let (store, path) = (InMemory::new(), Path::from("object"));
        let content = content(2 * PIECE);
        store.put(&path, content.clone().into()).await.unwrap();
        let range = 3..PIECE + 100;
        let found = read_range(&store, &path, range.clone()).await.unwrap();
        assert!(found == content[range.start as usize..range.end as usize]);
    }
}
