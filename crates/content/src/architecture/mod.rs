//! What tells one family of transformers from another, as data: how wide and deep it is, which of the block's variants it
//! uses, and what its checkpoints call each tensor.

mod bert;
mod config;
mod decoder;
mod distilbert;
mod vision;

use std::path::Path;

use serde_json::Value;

use crate::error::{ContentError, Result};

/// Pixels along a side of the largest image that is read.
const LARGEST_IMAGE: i64 = 1 << 13;

/// The name of the file that describes an encoder.
pub(crate) const CONFIG: &str = "config.json";

/// Everything that a transformer is built from, but for its weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Architecture {
    /// Width of the tokens' vectors.
    pub(crate) width: i64,
    /// Blocks.
    pub(crate) depth: usize,
    /// Prefixes that checkpoints put before all names: none, or the name of this part of a larger model.
    pub(crate) prefixes: &'static [&'static str],
    pub(crate) embeddings: Embeddings,
    pub(crate) block: Block,
    /// After the last block.
    pub(crate) final_norm: Option<&'static str>,
    pub(crate) norm: Norm,
}

/// How input becomes the first block's tokens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Embeddings {
    /// Words of a text.
    Tokens {
        /// Table of the vocabulary, and its rows.
        words: (&'static str, i64),
        positions: Option<Positions>,
        /// Table of the kinds of token (first or second sentence), and its rows: all are of the first kind.
        kinds: Option<(&'static str, i64)>,
        norm: Option<&'static str>,
    },
    /// Square patches of an image, after a token that stands for the whole.
    Patches {
        /// Pixels along a side of the image, and of a patch.
        image: i64,
        patch: i64,
        channels: i64,
        projection: &'static str,
        bias: bool,
        /// The whole's token, and its shape.
        class: (&'static str, Vec<i64>),
        /// The positions' table, and the dimensions that precede its rows.
        positions: (&'static str, Vec<i64>),
        norm: Option<&'static str>,
    },
}

/// A table of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Positions {
    pub(crate) name: &'static str,
    pub(crate) rows: i64,
    /// Row of the first token. Some families keep rows for padding.
    pub(crate) first: i64,
}

/// The variants of a block. Names are relative to `layer`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// What precedes a block's names, with `{}` for its number.
    pub(crate) layer: &'static str,
    pub(crate) attention: Attention,
    pub(crate) attention_norm: &'static str,
    pub(crate) feed_forward: FeedForward,
    pub(crate) feed_forward_norm: &'static str,
    /// Whether norms come before attention and feed-forward layer (pre-norm), or after the sum with their input.
    pub(crate) norms_first: bool,
    /// Whether matrices are stored as `[in, out]`.
    pub(crate) transposed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attention {
    pub(crate) heads: i64,
    /// Fewer than `heads` where several heads share keys and values (grouped-query attention, Ainslie et al. 2023).
    pub(crate) key_value_heads: i64,
    pub(crate) head_width: i64,
    pub(crate) projections: Projections,
    pub(crate) output: Linear,
    /// Norms of each head's queries and keys.
    pub(crate) head_norms: Option<(&'static str, &'static str)>,
    /// Whether a token sees only those before it.
    pub(crate) causal: bool,
    pub(crate) rotary: Option<Rotary>,
    /// Terms added to the scores, by distance: name of the table and number of its buckets (Raffel et al. 2020).
    pub(crate) distances: Option<(&'static str, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Projections {
    /// Query, key and value.
    Apart([Linear; 3]),
    /// All three in one matrix, one after the other.
    Fused(Linear),
}

/// A linear layer: its name, and whether it has a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Linear {
    pub(crate) name: &'static str,
    pub(crate) bias: bool,
}

/// Rotary positions (Su et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rotary {
    pub(crate) base: f64,
    pub(crate) scaling: Scaling,
    /// Tokens of the longest text that positions reach over, or of a window that texts are seen through, if that is shorter.
    pub(crate) longest: i64,
}

/// How rotary positions reach further than in pretraining.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scaling {
    Unscaled,
    /// All positions are divided by a factor.
    Linear {
        factor: f64,
    },
    /// Llama 3's: only slow rotations are.
    Llama3 {
        factor: f64,
        low_frequency: f64,
        high_frequency: f64,
        original: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FeedForward {
    pub(crate) width: i64,
    pub(crate) up: Linear,
    /// With a gate, its activation multiplies what goes up (SwiGLU, Shazeer 2020).
    pub(crate) gate: Option<Linear>,
    pub(crate) down: Linear,
    pub(crate) activation: Activation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Gelu,
    /// By the approximation with tanh.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    Relu,
    Silu,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Norm {
    Layer {
        epsilon: f64,
    },
    /// Without mean and bias (Zhang and Sennrich 2019).
    RootMeanSquare {
        epsilon: f64,
    },
}

impl Linear {
    fn with_bias(name: &'static str) -> Self {
        Self { name, bias: true }
    }
}

impl Attention {
    /// Every token sees every other, every head has its own keys and values, and every matrix has a bias.
    fn plain(heads: i64, head_width: i64, projections: [&'static str; 3], output: &'static str) -> Self {
        Self {
            heads,
            key_value_heads: heads,
            head_width,
            projections: Projections::Apart(projections.map(Linear::with_bias)),
            output: Linear::with_bias(output),
            head_norms: None,
            causal: false,
            rotary: None,
            distances: None,
        }
    }
}

impl FeedForward {
    /// Two matrices with biases.
    fn plain(width: i64, up: &'static str, down: &'static str, activation: Activation) -> Self {
        Self { width, up: Linear::with_bias(up), gate: None, down: Linear::with_bias(down), activation }
    }
}

/// `model_type` of every family, and how its `config.json` is read.
type Reader = fn(&config::Config) -> Result<Architecture>;
const FAMILIES: [(&str, Reader); 13] = [
    ("bert", bert::bert),
    ("roberta", bert::roberta),
    ("xlm-roberta", bert::roberta),
    ("camembert", bert::roberta),
    ("mpnet", bert::mpnet),
    ("distilbert", distilbert::distilbert),
    ("gpt2", decoder::gpt2),
    ("llama", decoder::llama),
    ("mistral", decoder::mistral),
    ("qwen2", decoder::qwen2),
    ("qwen3", decoder::qwen3),
    ("vit", vision::vit),
    ("clip_vision_model", vision::clip),
];

impl Architecture {
    /// Reads an encoder's `config.json`.
    ///
    /// # Errors
    /// Where it can't be read, isn't of a supported family, or asks for a variant that isn't supported.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(CONFIG);
        let refuse = |reason: String| ContentError::encoder(&file, reason);
        let text = std::fs::read(&file).map_err(|error| refuse(error.to_string()))?;
        let mut values: Value = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        // A model of texts and images: the half that sees.
        if values["model_type"] == "clip" {
            values = values["vision_config"].take();
            if !values.is_object() {
                return Err(refuse("`vision_config` is no object".into()));
            }
            values["model_type"] = "clip_vision_model".into();
        }
        let family = values["model_type"].as_str().unwrap_or_default().to_owned();
        let Some((_, read)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
            let supported: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
            let reason = format!(
                "model_type `{family}` isn't supported; supported are {}, and clip, whose vision model is taken",
                supported.join(", ")
            );
            return Err(refuse(reason));
        };
        let architecture = read(&config::Config { file: &file, values: &values })?;
        architecture.check().map_err(refuse)?;
        Ok(architecture)
    }

    /// Refuses sizes that no transformer has.
    fn check(&self) -> std::result::Result<(), String> {
        let attention = &self.block.attention;
        let sizes = [self.width, attention.heads, attention.key_value_heads, attention.head_width];
        if sizes.iter().chain([&self.block.feed_forward.width]).any(|&size| !(1..=1 << 20).contains(&size)) {
            return Err("a width or a number of heads isn't above 0".into());
        }
        if !(1..=1000).contains(&self.depth) {
            return Err(format!("{} layers", self.depth));
        }
        if attention.heads % attention.key_value_heads != 0 {
            let (heads, shared) = (attention.heads, attention.key_value_heads);
            return Err(format!("{heads} heads can't share {shared} keys and values"));
        }
        if attention.rotary.is_some() && attention.head_width % 2 != 0 {
            return Err(format!("rotary positions need an even width of a head, it is {}", attention.head_width));
        }
        match self.embeddings {
            Embeddings::Patches { image, patch, .. } if patch < 1 || image < patch || image % patch != 0 => {
                return Err(format!("an image of {image} pixels isn't made of patches of {patch}"));
            }
            Embeddings::Patches { image, .. } if image > LARGEST_IMAGE => {
                return Err(format!("an image of {image} pixels; the most are {LARGEST_IMAGE}"));
            }
            Embeddings::Patches { channels, .. } if channels != 3 => {
                return Err(format!("an image of {channels} colours; supported are 3"));
            }
            Embeddings::Tokens { .. } if self.longest().is_some_and(|longest| longest < 1) => {
                return Err("texts have no room for a token".into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Sides of the blocks' matrices.
    pub(crate) fn sides(&self) -> [i64; 4] {
        let Attention { heads, key_value_heads, head_width, .. } = self.block.attention;
        [self.width, heads * head_width, key_value_heads * head_width, self.block.feed_forward.width]
    }

    /// Tokens that it knows, where it reads texts.
    pub(crate) fn vocabulary(&self) -> Option<i64> {
        match self.embeddings {
            Embeddings::Tokens { words: (_, rows), .. } => Some(rows),
            Embeddings::Patches { .. } => None,
        }
    }

    /// Pixels along a side of the images that it reads, where it does.
    pub(crate) fn image_side(&self) -> Option<i64> {
        match self.embeddings {
            Embeddings::Patches { image, .. } => Some(image),
            Embeddings::Tokens { .. } => None,
        }
    }

    /// Tokens that an input may have at most, where that is bounded.
    pub(crate) fn longest(&self) -> Option<i64> {
        match &self.embeddings {
            Embeddings::Tokens { positions: Some(positions), .. } => Some(positions.rows - positions.first),
            Embeddings::Tokens { .. } => self.block.attention.rotary.map(|rotary| rotary.longest),
            Embeddings::Patches { image, patch, .. } => Some((image / patch).pow(2) + 1),
        }
    }
}

impl Embeddings {
    /// A tensor that every checkpoint has, by whose name its prefix is found.
    pub(crate) fn table(&self) -> &'static str {
        match self {
            Embeddings::Tokens { words, .. } => words.0,
            Embeddings::Patches { class, .. } => class.0,
        }
    }
}
