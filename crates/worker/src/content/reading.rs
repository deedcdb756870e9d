//! One encoder, what it has to read, and what it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};
use teasel_api::resolved::{Encoder, OnBadItems, Precision};
use teasel_model::{ContentVectors, read_numbers};
use teasel_storage::{FeaturePart, Features, StorageError, Store, nonce};

use super::chunks::chunks_of;
use super::folder::{EncoderFolder, LocalFolder};
use super::items::{Contents, hash};
use super::opened::Opened;
use crate::error::TaskError;

/// Version of what is kept: another one is never read.
const VERSION: u32 = 1;
/// Contents of a chunk. Few enough that a killed attempt loses little, many enough that files are few.
const TEXTS_OF_A_CHUNK: usize = 512;
const IMAGES_OF_A_CHUNK: usize = 64;
/// How often a rank looks for what the others have read, and how long without any. Whoever started the workers ends those
/// that wait for one that is gone; a large model takes a long time for a chunk.
const POLL: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);
/// Name of the tensor in a part's file: `[contents, layers, width]`.
const VECTORS: &str = "vectors";

/// What an encoder has to read of a job's items.
pub(super) struct Reading<'a> {
    /// What items have: `text` or `image`.
    kind: &'static str,
    encoder: &'a Encoder,
    folder: EncoderFolder,
    contents: Contents,
    /// Where images lie.
    images: Option<Store>,
    /// The items' ids, for errors.
    ids: &'a [String],
    on_bad_items: OnBadItems,
    features: Features,
    /// Hashes of contents that nobody has read yet, as far as `parts_seen` tell.
    left: BTreeSet<String>,
    parts_seen: usize,
}

/// What came of a chunk.
#[derive(Default)]
struct Read {
    hashes: Vec<String>,
    vectors: Option<Tensor>,
    unreadable: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Texts for `encoder`, which lies in `folder`; what was read before is looked up in `storage`.
    pub(super) async fn new(
        (kind, encoder, folder): (&'static str, &'a Encoder, EncoderFolder),
        (contents, images): (Contents, Option<Store>),
        ids: &'a [String],
        on_bad_items: OnBadItems,
        storage: &Store,
    ) -> Result<Self, TaskError> {
        let features = Features::open(storage, &key(encoder, &folder.version)).await?;
        let left = contents.distinct.keys().cloned().collect();
        let mut own =
            Self { kind, encoder, folder, contents, images, ids, on_bad_items, features, left, parts_seen: 0 };
        own.catch_up();
        Ok(own)
    }

    /// Takes from what is left what has been read. A content that couldn't be read is tried again where that is an error.
    fn catch_up(&mut self) {
        let skips = self.on_bad_items == OnBadItems::Skip;
        for part in self.features.parts().iter().skip(self.parts_seen) {
            let unreadable = part.unreadable.iter().filter(|_| skips);
            for hash in part.contents.iter().chain(unreadable) {
                self.left.remove(hash);
            }
        }
        self.parts_seen = self.features.parts().len();
    }

    /// Reads what is this rank's, one chunk after the other, and keeps it.
    pub(super) async fn read_own(
        &mut self,
        rank: (u32, u32),
        device: Device,
        report: &dyn Fn(String, f64),
    ) -> Result<(), TaskError> {
        let length = if self.images.is_some() { IMAGES_OF_A_CHUNK } else { TEXTS_OF_A_CHUNK };
        let all = self.contents.distinct.keys().map(String::as_str);
        let chunks: Vec<Vec<String>> = chunks_of(all, &self.left, rank, length)
            .into_iter()
            .map(|chunk| chunk.into_iter().map(str::to_owned).collect())
            .collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let here = self.folder.fetch().await?;
        let opened = Opened::open(self.encoder, self.images.is_some(), here.path(), device);
        let opened = opened.map_err(|error| self.folder.explain(error, &here))?;
        for chunk in chunks {
            self.report(report);
            let read = self.read_chunk(&opened, &here, chunk).await?;
            self.keep(read).await?;
        }
        Ok(())
    }

    fn report(&self, report: &dyn Fn(String, f64)) {
        let all = self.contents.distinct.len();
        let read = all - self.left.len();
        report(format!("reading items: {read} of {all} {}s", self.kind), 100.0 * read as f64 / all.max(1) as f64);
    }

    async fn read_chunk(&self, opened: &Opened, here: &LocalFolder, chunk: Vec<String>) -> Result<Read, TaskError> {
        let mut read = Read::default();
        let mut inputs: Vec<(String, Vec<u8>)> = Vec::with_capacity(chunk.len());
        for hash in chunk {
            match self.input(&hash).await? {
                Ok(bytes) => inputs.push((hash, bytes)),
                Err(reason) => read.unreadable.push(self.refuse(hash, &reason)?),
            }
        }
        let explain = |error| self.folder.explain(error, here);
        let vectors = opened.encode_good(&mut inputs, explain, |hash, reason| {
            read.unreadable.push(self.refuse(hash, reason)?);
            Ok(())
        })?;
        let good = finite_rows(&vectors)?;
        let rows: Vec<i64> = (0..).zip(&good).filter(|(_, good)| **good).map(|(row, _)| row).collect();
        let (inputs, bad): (Vec<_>, Vec<_>) = inputs.into_iter().zip(good).partition(|(_, good)| *good);
        for ((hash, _), _) in bad {
            read.unreadable.push(self.refuse(hash, "the encoder makes no numbers of it")?);
        }
        if !rows.is_empty() {
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(vectors.device())?;
            read.vectors = Some(vectors.f_index_select(0, &rows)?);
        }
        read.hashes = inputs.into_iter().map(|((hash, _), _)| hash).collect();
        Ok(read)
    }

    /// What the encoder is given for a content, or why it can't be read.
    async fn input(&self, hash: &str) -> Result<Result<Vec<u8>, String>, TaskError> {
        match self.contents.distinct.get(hash) {
            Some((_, content)) => content.input(self.images.as_ref()).await,
            None => Err(TaskError::bug(format!("no {} of hash {hash}", self.kind))),
        }
    }

    /// A content that can't be read ends the task, or is left out.
    fn refuse(&self, hash: String, reason: &str) -> Result<String, TaskError> {
        let item = self.contents.distinct.get(&hash).and_then(|(item, _)| self.ids.get(*item));
        let message =
            format!("data.items: the {} of item {}: {reason}", self.kind, item.map_or("?", String::as_str));
        match self.on_bad_items {
            OnBadItems::Fail => {
                Err(TaskError::Content(format!("{message} (or set model.content.onBadItems: Skip)")))
            }
            OnBadItems::Skip => {
                tracing::warn!("{message}; it counts as one without");
                Ok(hash)
            }
        }
    }

    async fn keep(&mut self, read: Read) -> Result<(), TaskError> {
        let nonce = nonce();
        let file = match &read.vectors {
            None => None,
            Some(vectors) => {
                let name = format!("{nonce}/vectors.safetensors");
                Some(self.features.folder().put_described(&name, to_bytes(vectors)?.into()).await?)
            }
        };
        let part = FeaturePart { file, contents: read.hashes, unreadable: read.unreadable, nonce };
        self.features.add(part).await?;
        self.catch_up();
        Ok(())
    }

    /// Waits until everything is read, by whatever rank.
    pub(super) async fn wait(&mut self, report: &dyn Fn(String, f64)) -> Result<(), TaskError> {
        let (mut newest, mut since) = (self.left.len(), Instant::now());
        while !self.left.is_empty() {
            if self.left.len() < newest {
                (newest, since) = (self.left.len(), Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let reason = format!("{newest} {}s aren't read by the other ranks", self.kind);
                return Err(teasel_c10d::Error::Timeout(reason).into());
            }
            self.report(report);
            tokio::time::sleep(POLL).await;
            self.features.refresh().await?;
            self.catch_up();
        }
        Ok(())
    }

    /// Each layer's vectors, once everything is read; and how many items' contents can't be read.
    pub(super) async fn vectors(&self) -> Result<(Vec<ContentVectors>, usize), TaskError> {
        let items = self.contents.of_items.len();
        let mut owners: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (item, hash) in self.contents.of_items.iter().enumerate() {
            if let Some(hash) = hash {
                owners.entry(hash).or_default().push(item as i64);
            }
        }
        let described = owners.values().map(Vec::len).sum::<usize>();
        let mut known = vec![false; items];
        let mut all: Option<Tensor> = None;
        for part in self.features.parts() {
            let rows = part.contents.iter().zip(0_i64..);
            // The first part that has a content is the one that counts.
            let (mut places, mut sources) = (Vec::new(), Vec::new());
            for (hash, row) in rows {
                for item in owners.remove(hash.as_str()).unwrap_or_default() {
                    known[item as usize] = true;
                    places.push(item);
                    sources.push(row);
                }
            }
            let Some(file) = part.file.as_ref().filter(|_| !places.is_empty()) else { continue };
            let folder = self.features.folder();
            let vectors = from_bytes(&folder.get_checked(file).await?)
                .map_err(|message| StorageError::Corrupt { uri: folder.uri_of(&file.name), message })?;
            let rows = vectors.f_index_select(0, &Tensor::f_from_slice(&sources)?)?;
            let mut target = match all.take() {
                Some(target) => target,
                None => {
                    let shape = [items as i64, vectors.size()[1], vectors.size()[2]];
                    Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?
                }
            };
            let _ = target.f_index_copy_(0, &Tensor::f_from_slice(&places)?, &rows)?;
            all = Some(target);
        }
        let layers = self.encoder.layers.as_ref().map_or(1, Vec::len);
        let all = match all {
            Some(all) => all,
            None => Tensor::f_zeros([items as i64, layers as i64, 1], (Kind::Float, Device::Cpu))?,
        };
        let of_layer = |layer| Ok(ContentVectors { vectors: all.f_select(1, layer)?, known: known.clone() });
        let unreadable = described - known.iter().filter(|known| **known).count();
        Ok(((0..layers as i64).map(of_layer).collect::<Result<_, TaskError>>()?, unreadable))
    }
}

/// What vectors depend on, beside the contents.
fn key(encoder: &Encoder, version: &str) -> String {
    let Encoder { location: _, layers, pooling, precision, tuning: _ } = encoder;
    let mut parts = vec![json!(VERSION), json!(version), json!(layers), json!(pooling)];
    // Floats go without saying: what an earlier release read of them is still read.
    parts.extend((*precision != Precision::Float32).then(|| json!(precision)));
    hash(json!(parts).to_string().as_bytes())
}

/// Which contents' vectors are numbers.
fn finite_rows(vectors: &Tensor) -> Result<Vec<bool>, TaskError> {
    let finite = vectors.f_isfinite()?.f_flatten(1, -1)?.f_all_dim(1, false)?;
    Ok(read_numbers::<i64>(&finite)?.into_iter().map(|number| number != 0).collect())
}

/// A part's file.
fn to_bytes(vectors: &Tensor) -> Result<Vec<u8>, TaskError> {
    let numbers: Vec<f32> = read_numbers(vectors)?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let shape = vectors.size().iter().map(|size| *size as usize).collect();
    let bug = |error: safetensors::SafeTensorError| TaskError::bug(error.to_string());
    let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(bug)?;
    serialize([(VECTORS, view)], None).map_err(bug)
}

/// Vectors of a part's file, `[contents, layers, width]`, or why there are none.
fn from_bytes(bytes: &[u8]) -> Result<Tensor, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let view = file.tensor(VECTORS).map_err(|error| error.to_string())?;
    let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
    if view.dtype() != Dtype::F32 || shape.len() != 3 {
        return Err(format!("vectors are {:?} {shape:?}", view.dtype()));
    }
    Tensor::f_from_data_size(view.data(), &shape, Kind::Float).map_err(|error| error.to_string())
}
