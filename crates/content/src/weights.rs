//! Tensors of a checkpoint: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use tch::{Kind, Tensor};

use crate::error::{ContentError, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// No header of a real checkpoint comes near it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensors of a checkpoint, by name. A tensor's bytes are read when it is asked for, so no more than one is in memory
/// twice.
#[derive(Debug)]
pub(crate) struct Weights {
    folder: PathBuf,
    places: BTreeMap<String, Place>,
    /// Precedes all names, where the checkpoint is one of a larger model that holds this one.
    prefix: String,
}

#[derive(Debug)]
struct Place {
    file: PathBuf,
    kind: Dtype,
    shape: Vec<i64>,
    /// First byte in the file, and how many.
    start: u64,
    length: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Reads the headers of all files.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        let mut places = BTreeMap::new();
        if !single.exists() && index.exists() {
            let text = std::fs::read(&index).map_err(|error| ContentError::encoder(&index, error))?;
            let listed: Index =
                serde_json::from_slice(&text).map_err(|error| ContentError::encoder(&index, error))?;
            let files: BTreeSet<&String> = listed.weight_map.values().collect();
            for file in files {
                if Path::new(file).components().count() != 1 {
                    return Err(ContentError::encoder(&index, format!("`{file}` is no file of this folder")));
                }
                places.extend(read_header(&folder.join(file))?);
            }
            let is_missing = |name: &str| !places.contains_key(&current(name.to_owned()));
            if let Some((name, file)) = listed.weight_map.iter().find(|(name, _)| is_missing(name)) {
                return Err(ContentError::encoder(&folder.join(file), format!("`{name}` is missing")));
            }
        } else {
            places = read_header(&single)?;
        }
        Ok(Self { folder: folder.to_owned(), places, prefix: String::new() })
    }

    /// Takes the first of these prefixes with which `name` exists: it precedes all other names too.
    pub(crate) fn with_prefix_of(mut self, name: &str, prefixes: &[&str]) -> Self {
        let found = prefixes.iter().find(|prefix| self.places.contains_key(&format!("{prefix}{name}")));
        self.prefix = found.copied().unwrap_or_default().to_owned();
        self
    }

    /// The tensor of this name as 32-bit floats.
    ///
    /// # Errors
    /// Where it is missing, has another shape than `shape`, or isn't made of floats.
    pub(crate) fn get(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        let Some(place) = self.places.get(&name) else {
            return Err(ContentError::encoder(&self.folder, format!("the checkpoint has no `{name}`")));
        };
        if place.shape != shape {
            let reason = format!("`{name}` has shape {:?}, by config.json it is {shape:?}", place.shape);
            return Err(ContentError::encoder(&place.file, reason));
        }
        let kind = match place.kind {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            other => {
                let reason = format!("`{name}` is made of {other:?}; supported are F32, F16, BF16 and F64");
                return Err(ContentError::encoder(&place.file, reason));
            }
        };
        let bytes = place.read().map_err(|error| ContentError::encoder(&place.file, error))?;
        Ok(Tensor::f_from_data_size(&bytes, shape, kind)?.f_to_kind(Kind::Float)?)
    }
}

impl Place {
    fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = vec![0; self.length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// A tensor's name today: early checkpoints of BERT, which are still the most used ones, call parts of norms otherwise.
fn current(name: String) -> String {
    let renamed = [(".gamma", ".weight"), (".beta", ".bias")].into_iter().find_map(|(old, new)| {
        let norm = name.strip_suffix(old).filter(|norm| norm.ends_with("LayerNorm"))?;
        Some(format!("{norm}{new}"))
    });
    renamed.unwrap_or(name)
}

/// Where each tensor of a file lies.
fn read_header(path: &Path) -> Result<BTreeMap<String, Place>> {
    let refuse = |reason: String| ContentError::encoder(path, reason);
    let mut file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    let size = file.metadata().map_err(|error| refuse(error.to_string()))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| refuse("it is cut off before its header".into()))?;
    let header_length = u64::from_le_bytes(length);
    if header_length > LONGEST_HEADER {
        return Err(refuse("it is no safetensors file".into()));
    }
    let mut header = Vec::new();
    file.take(header_length).read_to_end(&mut header).map_err(|error| refuse(error.to_string()))?;
    if (header.len() as u64) < header_length {
        return Err(refuse("it is cut off in its header".into()));
    }
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| refuse(error.to_string()))?;
    let data = 8 + header_length;
    let end = data + metadata.data_len() as u64;
    if size < end {
        return Err(refuse(format!("it is cut off: it has {size} bytes, by its header they are {end}")));
    }
    let place = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (from, to) = info.data_offsets;
        let shape = info.shape.iter().map(|&size| size as i64).collect();
        let name = current(name);
        let place =
            Place { file: path.to_owned(), kind: info.dtype, shape, start: data + from as u64, length: to - from };
        (name, place)
    };
    Ok(metadata.tensors().into_iter().map(place).collect())
}
