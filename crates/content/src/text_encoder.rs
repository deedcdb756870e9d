//! Texts to vectors.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::{Device, Tensor};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use crate::Options;
use crate::error::{ContentError, Result};
use crate::pooling::Pooling;
use crate::transformer::{Input, Transformer, Tuning, known_layers};

const TOKENIZER: &str = "tokenizer.json";
/// Files that may say how many tokens a text may have, and their fields for it.
const LIMITS: [(&str, &str); 2] =
    [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")];

/// A pretrained transformer that reads texts, with its tokenizer.
#[derive(Debug)]
pub struct TextEncoder {
    transformer: Transformer,
    tokenizer: Tokenizer,
    /// Where the tokenizer was read.
    file: PathBuf,
    layers: Vec<usize>,
    pooling: Pooling,
}

impl TextEncoder {
    /// Opens a folder. Longer texts than the encoder reads are cut off.
    ///
    /// # Errors
    /// Those of [`Transformer::open`]; also where there is no tokenizer, the encoder reads images, or has no such layer.
    pub fn open(folder: &Path, device: Device, options: Options<'_>) -> Result<Self> {
        let transformer = Transformer::open(folder, device, options.precision)?;
        if transformer.image_side().is_some() {
            let reason = format!("{}: the encoder reads images, not text", folder.display());
            return Err(ContentError::Configuration(reason));
        }
        let layers = known_layers(&transformer, options.layers)?;
        let file = folder.join(TOKENIZER);
        let refuse = |reason: String| ContentError::encoder(&file, reason);
        if !file.exists() {
            return Err(refuse("is missing; save the tokenizer as a fast one, beside config.json".into()));
        }
        let mut tokenizer = Tokenizer::from_file(&file).map_err(|error| refuse(error.to_string()))?;
        let stated = LIMITS.iter().filter_map(|(file, field)| limit(&folder.join(file), field));
        let longest = stated.chain(transformer.longest().map(|longest| longest as usize)).min();
        let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if let Some(longest) = longest.filter(|longest| *longest <= added) {
            return Err(refuse(format!("texts of {longest} tokens have no room beside the {added} that it adds")));
        }
        let truncation = longest.map(|max_length| TruncationParams { max_length, ..TruncationParams::default() });
        tokenizer.with_truncation(truncation).map_err(|error| refuse(error.to_string()))?.with_padding(None);
        Ok(Self { transformer, tokenizer, file, layers, pooling: options.pooling })
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

    /// The texts' vectors, `[texts, layers, width]`. Texts of like length are read together; what comes of a text doesn't
    /// depend on the others, up to rounding: in 8 bits, to a step.
    ///
    /// # Errors
    /// [`ContentError::Item`] where the tokenizer makes nothing of a text, [`ContentError::Encoder`] where it makes a token
    /// that the transformer doesn't know.
    pub fn encode(&self, texts: &[&str]) -> Result<Tensor> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true);
        let encodings =
            encodings.map_err(|error| ContentError::Configuration(format!("the tokenizer failed: {error}")))?;
        if let Some(item) = encodings.iter().position(|encoding| encoding.is_empty()) {
            return Err(ContentError::Item { item, reason: "the tokenizer finds no token in its text".into() });
        }
        let known = self.transformer.vocabulary().unwrap_or_default();
        let mut all = encodings.iter().flat_map(|encoding| encoding.get_ids().iter().zip(encoding.get_tokens()));
        if let Some((id, token)) = all.find(|(id, _)| i64::from(**id) >= known) {
            let reason = format!("token `{token}` has number {id}, the transformer knows {known} tokens");
            return Err(ContentError::encoder(&self.file, reason));
        }
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| encodings[text].len());
        let at_once = self.transformer.tokens_at_once();
        let mut parts = Vec::new();
        let mut rest = &order[..];
        while let Some((&first, _)) = rest.split_first() {
            // The longest comes last, and all are filled up to its length.
            let mut count = at_once.div_ceil(encodings[first].len()).min(rest.len());
            while count > 1 && count * encodings[rest[count - 1]].len() > at_once {
                count -= 1;
            }
            let (now, later) = rest.split_at(count);
            let ids: Vec<&[u32]> = now.iter().map(|&text| encodings[text].get_ids()).collect();
            parts.push(self.read(&ids)?);
            rest = later;
        }
        if parts.is_empty() {
            let shape = [0, self.layers.len() as i64, self.width()];
            return Ok(Tensor::f_zeros(shape, (tch::Kind::Float, self.transformer.device()))?);
        }
        let mut places = vec![0_i64; order.len()];
        for (place, &text) in order.iter().enumerate() {
            places[text] = place as i64;
        }
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.transformer.device())?;
        Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &places)?)
    }

    /// The vectors of some texts, `[texts, layers, width]`, by their tokens.
    fn read(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or_default();
        let lengths: Vec<i64> = texts.iter().map(|ids| ids.len() as i64).collect();
        let filled = |ids: &&[u32]| {
            let own = ids.iter().map(|&id| i64::from(id));
            own.chain(std::iter::repeat(0)).take(longest).collect::<Vec<i64>>()
        };
        let ids: Vec<i64> = texts.iter().flat_map(filled).collect();
        let ids = Tensor::f_from_slice(&ids)?.f_view([texts.len() as i64, longest as i64])?;
        let ids = ids.f_to_device(self.transformer.device())?;
        let layers = self.transformer.forward(&Input::Tokens { ids: &ids, lengths: &lengths }, &self.layers)?;
        self.pooling.pool_layers(&layers, &lengths)
    }
}

/// What a file says of the longest text. Tokenizers without a limit say so by a number beyond all bounds.
fn limit(file: &Path, field: &str) -> Option<usize> {
    let values: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    values.get(field)?.as_u64().filter(|limit| (1..1 << 24).contains(limit)).map(|limit| limit as usize)
}
