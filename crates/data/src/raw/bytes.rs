//! A file's bytes, downloaded and unpacked by the runtime, read by a thread that may block.

use std::io::{self, Read};

use ::bytes::Bytes;
use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use futures::TryStreamExt;
use teasel_storage::read_in_pieces;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::format::Compression;
use crate::places::InputFile;

/// Size of the pieces that cross from the runtime to the reading thread.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait.
const WAITING: usize = 8;

/// Opens `file`: the returned reader blocks until bytes arrive.
pub(crate) fn open(file: &InputFile, compression: Compression, runtime: &tokio::runtime::Handle) -> PieceReader {
    let (sender, receiver) = mpsc::channel(WAITING);
    let file = file.clone();
    runtime.spawn(async move {
        if let Err(error) = pump(&file, compression, &sender).await {
            // Nobody listens any more where the reader has given up.
            let _ = sender.send(Err(error)).await;
        }
    });
    PieceReader { receiver, piece: Bytes::new(), finished: false }
}

async fn pump(
    file: &InputFile,
    compression: Compression,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let (_, pieces) = read_in_pieces(file.store.clone(), file.path.clone()).await.map_err(io::Error::other)?;
    let raw = BufReader::with_capacity(PIECE, StreamReader::new(pieces.map_err(io::Error::other)));
    // A file may consist of several compressed members, one after the other.
    let mut reader: Box<dyn AsyncRead + Send + Unpin> = match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Bzip2 => {
            let mut decoder = BzDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Xz => {
            let mut decoder = XzDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
    };
    loop {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        while filled < PIECE {
            match reader.read(&mut piece[filled..]).await? {
                0 => break,
                read => filled += read,
            }
        }
        piece.truncate(filled);
        let last = filled < PIECE;
        if (filled > 0 && sender.send(Ok(piece.into())).await.is_err()) || last {
            break;
        }
    }
    // An empty piece says that this is the whole file: a runtime that is shut down sends none.
    let _ = sender.send(Ok(Bytes::new())).await;
    Ok(())
}

/// See [`open`].
pub(crate) struct PieceReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    finished: bool,
}

impl Read for PieceReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !self.finished {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download was given up")),
            }
            self.finished = self.piece.is_empty();
        }
        let length = target.len().min(self.piece.len());
        target[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Sorts an error of reading: of the store, or of the file's content.
pub(crate) fn read_error(file: &InputFile, error: io::Error) -> crate::DataError {
    if let Some(store) = error.get_ref().and_then(find_store_error) {
        return store;
    }
    crate::DataError::corrupt(&file.uri, error)
}

/// A store's error somewhere below `error`.
fn find_store_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<crate::DataError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<object_store::Error>() {
            return Some(crate::storage_error(found));
        }
        cause = current.source();
    }
    None
}
