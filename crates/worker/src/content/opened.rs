//! An encoder of either kind, read into memory.

use std::path::Path;

use tch::{Device, Tensor};
use teasel_api::resolved::{Encoder, EncoderMatrix, Pooling, Precision, Tuning, TuningMethod};
use teasel_content::{ContentError, ImageEncoder, Matrix, Options, TextEncoder};

use crate::error::TaskError;

/// An encoder of either kind.
pub(super) enum Opened {
    Text(Box<TextEncoder>),
    Image(Box<ImageEncoder>),
}

impl Opened {
    pub(super) fn open(
        encoder: &Encoder,
        reads_images: bool,
        folder: &Path,
        device: Device,
    ) -> Result<Self, ContentError> {
        let pooling = match encoder.pooling {
            Pooling::Mean => teasel_content::Pooling::Mean,
            Pooling::Cls => teasel_content::Pooling::Cls,
            Pooling::LastToken => teasel_content::Pooling::LastToken,
        };
        let precision = match encoder.precision {
            Precision::Float32 => teasel_content::Precision::Float32,
            Precision::Int8 => teasel_content::Precision::Int8,
        };
        let options = Options { layers: encoder.layers.as_deref(), pooling, precision };
        Ok(match reads_images {
            true => Opened::Image(Box::new(ImageEncoder::open(folder, device, options)?)),
            false => Opened::Text(Box::new(TextEncoder::open(folder, device, options)?)),
        })
    }

    /// Vectors of texts or images, `[inputs, layers, width]`.
    fn encode(&self, inputs: &[&[u8]]) -> Result<Tensor, ContentError> {
        match self {
            Opened::Image(encoder) => encoder.encode(inputs),
            Opened::Text(encoder) => {
                let texts: Vec<_> = inputs.iter().map(|text| String::from_utf8_lossy(text)).collect();
                encoder.encode(&texts.iter().map(AsRef::as_ref).collect::<Vec<_>>())
            }
        }
    }

    /// Vectors of those inputs that can be read. The others leave `inputs`: `refuse` hears of them, and may end the task.
    ///
    /// # Errors
    /// Those of `refuse`, and what `explain` makes of others.
    pub(super) fn encode_good<T>(
        &self,
        inputs: &mut Vec<(T, Vec<u8>)>,
        explain: impl Fn(ContentError) -> TaskError,
        mut refuse: impl FnMut(T, &str) -> Result<(), TaskError>,
    ) -> Result<Tensor, TaskError> {
        loop {
            let bytes: Vec<&[u8]> = inputs.iter().map(|(_, bytes)| bytes.as_slice()).collect();
            match self.encode(&bytes) {
                Err(ContentError::Item { item, reason }) if item < inputs.len() => {
                    let (own, _) = inputs.remove(item);
                    refuse(own, &reason)?;
                }
                encoded => return encoded.map_err(explain),
            }
        }
    }

    /// Makes what is adapted: a pure function of the seed.
    pub(super) fn tune(&mut self, tuning: &Tuning, seed: u64) -> Result<(), ContentError> {
        let method = match &tuning.method {
            TuningMethod::Full => teasel_content::Tuning::Full,
            TuningMethod::Adapters { width } => teasel_content::Tuning::Adapters { width: i64::from(*width) },
            TuningMethod::LowRank { rank, alpha, targets } => teasel_content::Tuning::LowRank {
                rank: i64::from(*rank),
                alpha: *alpha,
                targets: targets.iter().copied().map(matrix).collect(),
            },
        };
        match self {
            Opened::Text(encoder) => encoder.tune(&method, seed),
            Opened::Image(encoder) => encoder.tune(&method, seed),
        }
    }

    /// What is adapted, by name.
    pub(super) fn trained(&self) -> Vec<(String, Tensor)> {
        match self {
            Opened::Text(encoder) => encoder.trained(),
            Opened::Image(encoder) => encoder.trained(),
        }
    }

    /// How many layers are read, and how wide their vectors are.
    pub(super) fn shape(&self) -> (usize, i64) {
        match self {
            Opened::Text(encoder) => (encoder.layers().len(), encoder.width()),
            Opened::Image(encoder) => (encoder.layers().len(), encoder.width()),
        }
    }
}

fn matrix(of: EncoderMatrix) -> Matrix {
    match of {
        EncoderMatrix::Query => Matrix::Query,
        EncoderMatrix::Key => Matrix::Key,
        EncoderMatrix::Value => Matrix::Value,
        EncoderMatrix::Output => Matrix::Output,
        EncoderMatrix::Up => Matrix::Up,
        EncoderMatrix::Gate => Matrix::Gate,
        EncoderMatrix::Down => Matrix::Down,
    }
}
