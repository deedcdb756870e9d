//! A transformer (Vaswani et al. 2017) of any supported family: embeddings, blocks, and a norm at the end.

mod attention;
mod block;
mod distances;
mod embeddings;
mod layers;
mod precision;
mod rotary;
mod tune;
mod tuning;

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::architecture::Architecture;
use crate::error::{ContentError, Result};
use crate::weights::Weights;

use self::attention::Sight;
use self::block::Block;
use self::distances::Distances;
use self::embeddings::Embeddings;
use self::layers::{Norm, Source};
use self::rotary::Rotary;

pub use self::precision::Precision;
pub use self::tuning::{Matrix, Tuning};

/// Tokens that are read at once: as many as fit a processor's caches, and as many as keep a GPU busy (BENCHMARKS.md).
const TOKENS_ON_A_CPU: usize = 384;
const TOKENS_ON_A_GPU: usize = 8192;

/// A pretrained transformer.
#[derive(Debug)]
pub struct Transformer {
    architecture: Architecture,
    embeddings: Embeddings,
    blocks: Vec<Block>,
    distances: Option<Distances>,
    rotary: Option<Rotary>,
    final_norm: Option<Norm>,
    device: Device,
    precision: Precision,
}

/// What a transformer reads.
#[derive(Debug)]
pub enum Input<'a> {
    /// Texts.
    Tokens {
        /// Rows of the vocabulary, `[texts, tokens]`, 64-bit integers. Texts that are shorter than the longest are filled
        /// up at their ends, with anything.
        ids: &'a Tensor,
        /// Tokens of each text, at least 1.
        lengths: &'a [i64],
    },
    /// Images as floats, `[images, channels, side, side]`, normalised as the encoder was trained.
    Images(&'a Tensor),
}

impl Transformer {
    /// Reads `config.json` and the weights of a folder, which are held in this precision: no more than one matrix is in
    /// memory in another.
    ///
    /// # Errors
    /// [`ContentError::Encoder`] where a file is missing, cut off or of another shape, or where the family or a variant
    /// isn't supported; with the file, the tensor or field, and what is supported. [`ContentError::Configuration`] where
    /// matrices can't be held in 8 bits.
    pub fn open(folder: &Path, device: Device, precision: Precision) -> Result<Self> {
        let architecture = Architecture::read(folder)?;
        if precision == Precision::Int8 {
            precision::check(architecture.sides(), device)?;
        }
        let weights = Weights::open(folder)?.with_prefix_of(architecture.embeddings.table(), architecture.prefixes);
        let source = Source { weights: &weights, device, precision, norm: architecture.norm };
        let attention = &architecture.block.attention;
        Ok(Self {
            embeddings: Embeddings::load(&source, &architecture)?,
            blocks: (0..architecture.depth)
                .map(|index| Block::load(&source, &architecture, index))
                .collect::<Result<_>>()?,
            distances: attention
                .distances
                .map(|spec| Distances::load(&source, spec, attention.heads))
                .transpose()?,
            rotary: attention.rotary.map(|spec| Rotary::new(spec, attention.head_width, device)).transpose()?,
            final_norm: architecture.final_norm.map(|name| source.norm(name, architecture.width)).transpose()?,
            architecture,
            device,
            precision,
        })
    }

    /// Blocks: the deepest layer that can be asked for.
    pub fn depth(&self) -> usize {
        self.architecture.depth
    }

    /// Width of a token's vector.
    pub fn width(&self) -> i64 {
        self.architecture.width
    }

    /// Tokens that an input may have at most, where that is bounded.
    pub fn longest(&self) -> Option<i64> {
        self.architecture.longest()
    }

    /// Tokens that it knows, where it reads texts.
    pub fn vocabulary(&self) -> Option<i64> {
        self.architecture.vocabulary()
    }

    /// Pixels along a side of the images that it reads, where it does.
    pub fn image_side(&self) -> Option<i64> {
        self.architecture.image_side()
    }

    /// Tokens that are best read at once, about.
    pub(crate) fn tokens_at_once(&self) -> usize {
        if self.device.is_cuda() { TOKENS_ON_A_GPU } else { TOKENS_ON_A_CPU }
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The tokens' vectors after each of these layers, `[inputs, tokens, width]`: 0 is what the first block reads, and the
    /// last one is what has passed the norm at the end, where there is one. Those of fillings mean nothing. Blocks behind
    /// the deepest layer aren't computed.
    ///
    /// # Errors
    /// Where there is no such layer, the input is longer than [`Self::longest`], or of the other kind.
    pub fn forward(&self, input: &Input<'_>, layers: &[usize]) -> Result<Vec<Tensor>> {
        let deepest = layers.iter().copied().max().unwrap_or_default();
        if deepest > self.depth() {
            return Err(ContentError::Configuration(format!(
                "there is no layer {deepest}: the encoder has {}",
                self.depth()
            )));
        }
        let mut tokens = self.embeddings.embed(input)?;
        let length = tokens.size3()?.1;
        let sight = Sight {
            causal: self.architecture.block.attention.causal,
            mask: self.mask(input, length)?,
            angles: self.rotary.as_ref().map(|rotary| rotary.angles(length)).transpose()?,
        };
        // Only what is asked for is kept: of a deep encoder all layers would be many times a batch.
        let mut found: Vec<Option<Tensor>> = layers.iter().map(|_| None).collect();
        for index in 0..=deepest {
            for (place, _) in layers.iter().enumerate().filter(|(_, layer)| **layer == index) {
                let norm = self.final_norm.as_ref().filter(|_| index == self.depth());
                let normed = norm.map_or_else(|| Ok(tokens.shallow_clone()), |norm| norm.forward(&tokens))?;
                found[place] = Some(normed);
            }
            if index < deepest {
                tokens = self.blocks[index].forward(&tokens, &sight)?;
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// What is added to attention's scores: terms by distance, and nothing of what fills texts up. Where tokens see only
    /// those before them, what stands at the ends is seen by no other.
    fn mask(&self, input: &Input<'_>, length: i64) -> Result<Option<Tensor>> {
        let distances = self.distances.as_ref().map(|distances| distances.terms(length)).transpose()?;
        let lengths = match input {
            Input::Tokens { lengths, .. } if !self.architecture.block.attention.causal => *lengths,
            _ => return Ok(distances),
        };
        if lengths.iter().all(|&own| own == length) {
            return Ok(distances);
        }
        let ends = Tensor::f_from_slice(lengths)?.f_to_device(self.device)?.f_view_([-1, 1, 1, 1])?;
        let filled = Tensor::f_arange(length, (Kind::Int64, self.device))?.f_ge_tensor(&ends)?;
        let kind = (Kind::Float, self.device);
        let hidden = Tensor::f_zeros(filled.size(), kind)?.f_masked_fill(&filled, f64::NEG_INFINITY)?;
        Ok(Some(match distances {
            Some(distances) => distances.f_add(&hidden)?,
            None => hidden,
        }))
    }
}

/// Checks the layers that are asked for.
pub(crate) fn known_layers(transformer: &Transformer, layers: Option<&[u32]>) -> Result<Vec<usize>> {
    let Some(layers) = layers else { return Ok(vec![transformer.depth()]) };
    let depth = transformer.depth();
    match layers.iter().find(|&&layer| layer == 0 || layer as usize > depth) {
        Some(layer) => Err(ContentError::Configuration(format!(
            "`layers`: there is no layer {layer}; the encoder has 1 to {depth}"
        ))),
        None if layers.is_empty() => Err(ContentError::Configuration("`layers` is empty".into())),
        None => Ok(layers.iter().map(|&layer| layer as usize).collect()),
    }
}
