//! BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019) and MPNet (Song et al. 2020), and what has their form: MiniLM,
//! XLM-RoBERTa, CamemBERT.

use serde_json::json;

use super::config::Config;
use super::{Architecture, Attention, Block, Embeddings, FeedForward, Norm, Positions};
use crate::error::Result;

pub(super) fn bert(config: &Config<'_>) -> Result<Architecture> {
    read(config, &["", "bert."], 0)
}

pub(super) fn roberta(config: &Config<'_>) -> Result<Architecture> {
    // The padding's row is the first one that is used, and by no word.
    let first = config.integer_or("pad_token_id", 1)? + 1;
    read(config, &["", "roberta."], first)
}

/// As BERT, with terms by distance that all blocks share, and no kinds of token.
pub(super) fn mpnet(config: &Config<'_>) -> Result<Architecture> {
    // Its padding's row is always the second.
    let mut mpnet = read(config, &["", "mpnet."], 2)?;
    if let Embeddings::Tokens { kinds, .. } = &mut mpnet.embeddings {
        *kinds = None;
    }
    let Attention { heads, head_width, .. } = mpnet.block.attention;
    let buckets = config.integer_or("relative_attention_num_buckets", 32)?;
    mpnet.block.attention = Attention {
        distances: Some(("encoder.relative_attention_bias.weight", buckets)),
        ..Attention::plain(
            heads,
            head_width,
            ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
            "attention.attn.o",
        )
    };
    mpnet.block.attention_norm = "attention.LayerNorm";
    Ok(mpnet)
}

fn read(config: &Config<'_>, prefixes: &'static [&'static str], first: i64) -> Result<Architecture> {
    config.only("position_embedding_type", json!("absolute"))?;
    config.only("is_decoder", json!(false))?;
    let (width, heads) = (config.integer("hidden_size")?, config.integer("num_attention_heads")?);
    Ok(Architecture {
        width,
        depth: config.size("num_hidden_layers")?,
        prefixes,
        embeddings: Embeddings::Tokens {
            words: ("embeddings.word_embeddings.weight", config.integer("vocab_size")?),
            positions: Some(Positions {
                name: "embeddings.position_embeddings.weight",
                rows: config.integer("max_position_embeddings")?,
                first,
            }),
            kinds: Some(("embeddings.token_type_embeddings.weight", config.integer_or("type_vocab_size", 2)?)),
            norm: Some("embeddings.LayerNorm"),
        },
        block: Block {
            layer: "encoder.layer.{}.",
            attention: Attention::plain(
                heads,
                config.share(width, heads)?,
                ["attention.self.query", "attention.self.key", "attention.self.value"],
                "attention.output.dense",
            ),
            attention_norm: "attention.output.LayerNorm",
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
