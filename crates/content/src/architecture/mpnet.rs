//! MPNet (Song et al. 2020): as BERT, with terms by distance that all blocks share.

use super::config::Config;
use super::{Architecture, Attention, Block, Embeddings, FeedForward, Norm, Positions};
use crate::error::Result;

pub(super) fn mpnet(config: &Config<'_>) -> Result<Architecture> {
    let (width, heads) = (config.integer("hidden_size")?, config.integer("num_attention_heads")?);
    let buckets = config.integer_or("relative_attention_num_buckets", 32)?;
    Ok(Architecture {
        width,
        depth: config.size("num_hidden_layers")?,
        prefixes: &["", "mpnet."],
        embeddings: Embeddings::Tokens {
            words: ("embeddings.word_embeddings.weight", config.integer("vocab_size")?),
            positions: Some(Positions {
                name: "embeddings.position_embeddings.weight",
                rows: config.integer("max_position_embeddings")?,
                // Its padding's row is always the second.
                first: 2,
            }),
            kinds: None,
            norm: Some("embeddings.LayerNorm"),
        },
        block: Block {
            layer: "encoder.layer.{}.",
            attention: Attention {
                distances: Some(("encoder.relative_attention_bias.weight", buckets)),
                ..Attention::plain(
                    heads,
                    config.share(width, heads)?,
                    ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
                    "attention.attn.o",
                )
            },
            attention_norm: "attention.LayerNorm",
            feed_forward: FeedForward::plain(
                config.integer("intermediate_size")?,
                "intermediate.dense",
                "output.dense",
                config.activation_or("hidden_act", "gelu")?,
            ),
            feed_forward_norm: "output.LayerNorm",
            norms_first: false,
            transposed: false,
        },
        final_norm: None,
        norm: Norm::Layer { epsilon: config.number_or("layer_norm_eps", 1e-12)? },
    })
}
