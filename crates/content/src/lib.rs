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
pub use transformer::{Input, Matrix, Transformer, Tuning};
