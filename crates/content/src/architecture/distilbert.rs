//! DistilBERT (Sanh et al. 2019).

use super::config::Config;
use super::{Architecture, Attention, Block, Embeddings, FeedForward, Norm, Positions};
use crate::error::Result;

/// No field of its `config.json`.
const EPSILON: f64 = 1e-12;

pub(super) fn distilbert(config: &Config<'_>) -> Result<Architecture> {
    let (width, heads) = (config.integer("dim")?, config.integer("n_heads")?);
    Ok(Architecture {
        width,
        depth: config.size("n_layers")?,
        prefixes: &["", "distilbert."],
        embeddings: Embeddings::Tokens {
            words: ("embeddings.word_embeddings.weight", config.integer("vocab_size")?),
            positions: Some(Positions {
                name: "embeddings.position_embeddings.weight",
                rows: config.integer("max_position_embeddings")?,
                first: 0,
            }),
            kinds: None,
            norm: Some("embeddings.LayerNorm"),
        },
        block: Block {
            layer: "transformer.layer.{}.",
            attention: Attention::plain(
                heads,
                config.share(width, heads)?,
                ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
                "attention.out_lin",
            ),
            attention_norm: "sa_layer_norm",
            feed_forward: FeedForward::plain(
                config.integer("hidden_dim")?,
                "ffn.lin1",
                "ffn.lin2",
                config.activation_or("activation", "gelu")?,
            ),
            feed_forward_norm: "output_layer_norm",
            norms_first: false,
            transposed: false,
        },
        final_norm: None,
        norm: Norm::Layer { epsilon: EPSILON },
    })
}
