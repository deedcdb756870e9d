//! Images to vectors.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::Options;
use crate::error::{ContentError, Result};
use crate::picture::Preparation;
use crate::pooling::Pooling;
use crate::transformer::{Input, Transformer, Tuning, known_layers};

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
    /// Opens a folder.
    ///
    /// # Errors
    /// Those of [`Transformer::open`]; also where `preprocessor_config.json` is missing or doesn't fit, or the encoder reads
    /// text, or has no such layer.
    pub fn open(folder: &Path, device: Device, options: Options<'_>) -> Result<Self> {
        let transformer = Transformer::open(folder, device, options.precision)?;
        let Some(side) = transformer.image_side() else {
            let reason = format!("{}: the encoder reads text, not images", folder.display());
            return Err(ContentError::Configuration(reason));
        };
        let layers = known_layers(&transformer, options.layers)?;
        Ok(Self {
            preparation: Preparation::read(folder, side)?,
            transformer,
            side,
            layers,
            pooling: options.pooling,
        })
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
        // All before the first is read: a bad one costs those before it no pass through the encoder.
        let prepare = |(item, image): (usize, &&[u8])| {
            self.preparation.prepare(image).map_err(|reason| ContentError::Item { item, reason })
        };
        let prepared = images.iter().enumerate().map(prepare).collect::<Result<Vec<_>>>()?;
        let tokens = self.transformer.longest().unwrap_or_default();
        let at_once = self.transformer.tokens_at_once().div_ceil((tokens as usize).max(1));
        let mut parts = Vec::new();
        for part in prepared.chunks(at_once) {
            let numbers = part.concat();
            let pixels = Tensor::f_from_slice(&numbers)?.f_view_([part.len() as i64, 3, self.side, self.side])?;
            let layers = self.transformer.forward(&Input::Images(&pixels.f_to_device(device)?), &self.layers)?;
            // Nothing fills an image up.
            parts.push(self.pooling.pool_layers(&layers, &vec![tokens; part.len()])?);
        }
        if parts.is_empty() {
            let shape = [0, self.layers.len() as i64, self.width()];
            return Ok(Tensor::f_zeros(shape, (Kind::Float, device))?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}
