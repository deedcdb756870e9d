//! Large pretrained models that read the text and the images of items.
//!
//! A folder as Hugging Face's `transformers` saves it (`config.json`, `model.safetensors`, `tokenizer.json`) is read as it
//! is. All families are one [`Transformer`]: what tells them apart is data (`architecture`), not code.

mod architecture;
mod error;
mod image_encoder;
mod picture;
mod pooling;
mod text_encoder;
mod transformer;
mod weights;

pub use error::{ContentError, Result};
pub use image_encoder::ImageEncoder;
pub use pooling::Pooling;
pub use text_encoder::TextEncoder;
pub use transformer::{Input, Matrix, Precision, Transformer, Tuning};

/// What is wanted of an encoder.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Those whose vectors are wanted, 1 for the first block's; unset means the last one.
    pub layers: Option<&'a [u32]>,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// How its matrices are held.
    pub precision: Precision,
}

impl Options<'_> {
    /// The last layer's vectors, by 32-bit floats.
    pub fn new(pooling: Pooling) -> Self {
        Self { layers: None, pooling, precision: Precision::Float32 }
    }
}
