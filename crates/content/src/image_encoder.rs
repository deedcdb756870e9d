//! Images to vectors.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{ContentError, Result};
use crate::picture::Preparation;
use crate::pooling::Pooling;
use crate::transformer::{Input, Transformer, Tuning, known_layers};

/// Images that are read at once.
const AT_ONCE: usize = 32;

/// A pretrained transformer that reads images.
#[derive(Debug)]
pub struct ImageEncoder {
    transformer: Transformer,
    preparation: Preparation,
    side: i64,
    layers: Vec<usize>,
    pooling: Pooling,
}

impl ImageEncoder {
    /// Opens a folder. `layers` are those whose vectors are wanted, 1 for the first block's; unset means the last one.
    ///
    /// # Errors
    /// Those of [`Transformer::open`]; also where `preprocessor_config.json` is missing or doesn't fit, or the encoder reads
    /// text, or has no such layer.
    pub fn open(folder: &Path, device: Device, layers: Option<&[u32]>, pooling: Pooling) -> Result<Self> {
        let transformer = Transformer::open(folder, device)?;
        let Some(side) = transformer.image_side() else {
            let reason = format!("{}: the encoder reads text, not images", folder.display());
            return Err(ContentError::Configuration(reason));
        };
        let layers = known_layers(&transformer, layers)?;
        Ok(Self { preparation: Preparation::read(folder, side)?, transformer, side, layers, pooling })
    }

    /// Width of a layer's vectors.
    pub fn width(&self) -> i64 {
        self.transformer.width()
    }

    /// Makes what `tuning` trains: see [`Transformer::tune`].
    ///
    /// # Errors
    /// Those of [`Transformer::tune`].
    pub fn tune(&mut self, tuning: &Tuning, seed: u64) -> Result<()> {
        self.transformer.tune(tuning, seed)
    }

    /// What is trained, by name: leaves that require gradients, which [`Self::encode`] leads back to.
    pub fn trained(&self) -> Vec<(String, Tensor)> {
        self.transformer.trained()
    }

    /// Layers whose vectors [`Self::encode`] returns.
    pub fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// The images' vectors, `[images, layers, width]`, of the bytes of GIF, JPEG, PNG or WebP files.
    ///
    /// # Errors
    /// [`ContentError::Item`] where an image doesn't decode.
    pub fn encode(&self, images: &[&[u8]]) -> Result<Tensor> {
        let device = self.transformer.device();
        let mut parts = Vec::new();
        for (part, first) in images.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let mut numbers = Vec::with_capacity(part.len() * (3 * self.side * self.side) as usize);
            for (image, place) in part.iter().zip(0..) {
                let prepared = self.preparation.prepare(image);
                numbers.extend(prepared.map_err(|reason| ContentError::Item { item: first + place, reason })?);
            }
            let pixels = Tensor::f_from_slice(&numbers)?.f_view_([part.len() as i64, 3, self.side, self.side])?;
            let layers = self.transformer.forward(&Input::Images(&pixels.f_to_device(device)?), &self.layers)?;
            // Nothing fills an image up.
            let tokens = self.transformer.longest().unwrap_or_default();
            parts.push(self.pooling.pool_layers(&layers, &vec![tokens; part.len()])?);
        }
        if parts.is_empty() {
            let shape = [0, self.layers.len() as i64, self.width()];
            return Ok(Tensor::f_zeros(shape, (Kind::Float, device))?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}
