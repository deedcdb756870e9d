//! Vision transformers: ViT (Dosovitskiy et al. 2021), and the half of CLIP that sees (Radford et al. 2021).

use super::config::Config;
use super::{Architecture, Attention, Block, Embeddings, FeedForward, Linear, Norm, Projections};
use crate::error::Result;

pub(super) fn vit(config: &Config<'_>) -> Result<Architecture> {
    let (width, heads) = (config.integer("hidden_size")?, config.integer("num_attention_heads")?);
    let biased = config.flag_or("qkv_bias", true)?;
    let projections = ["attention.attention.query", "attention.attention.key", "attention.attention.value"];
    Ok(Architecture {
        width,
        depth: config.size("num_hidden_layers")?,
        prefixes: &["", "vit."],
        embeddings: Embeddings::Patches {
            image: config.integer_or("image_size", 224)?,
            patch: config.integer_or("patch_size", 16)?,
            channels: config.integer_or("num_channels", 3)?,
            projection: "embeddings.patch_embeddings.projection",
            bias: true,
            class: ("embeddings.cls_token", vec![1, 1, width]),
            positions: ("embeddings.position_embeddings", vec![1]),
            norm: None,
        },
        block: Block {
            layer: "encoder.layer.{}.",
            attention: Attention {
                projections: Projections::Apart(projections.map(|name| Linear { name, bias: biased })),
                ..Attention::plain(heads, config.share(width, heads)?, projections, "attention.output.dense")
            },
            attention_norm: "layernorm_before",
            feed_forward: FeedForward::plain(
                config.integer("intermediate_size")?,
                "intermediate.dense",
                "output.dense",
                config.activation_or("hidden_act", "gelu")?,
            ),
            feed_forward_norm: "layernorm_after",
            norms_first: true,
            transposed: false,
        },
        final_norm: Some("layernorm"),
        norm: Norm::Layer { epsilon: config.number_or("layer_norm_eps", 1e-12)? },
    })
}

pub(super) fn clip(config: &Config<'_>) -> Result<Architecture> {
    let (width, heads) = (config.integer_or("hidden_size", 768)?, config.integer_or("num_attention_heads", 12)?);
    Ok(Architecture {
        width,
        depth: config.integer_or("num_hidden_layers", 12)? as usize,
        prefixes: &["vision_model.", ""],
        embeddings: Embeddings::Patches {
            image: config.integer_or("image_size", 224)?,
            patch: config.integer_or("patch_size", 32)?,
            channels: config.integer_or("num_channels", 3)?,
            projection: "embeddings.patch_embedding",
            bias: false,
            class: ("embeddings.class_embedding", vec![width]),
            positions: ("embeddings.position_embedding.weight", vec![]),
            // So spelt in every checkpoint.
            norm: Some("pre_layrnorm"),
        },
        block: Block {
            layer: "encoder.layers.{}.",
            attention: Attention::plain(
                heads,
                config.share(width, heads)?,
                ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                "self_attn.out_proj",
            ),
            attention_norm: "layer_norm1",
            feed_forward: FeedForward::plain(
                config.integer_or("intermediate_size", 3072)?,
                "mlp.fc1",
                "mlp.fc2",
                config.activation_or("hidden_act", "quick_gelu")?,
            ),
            feed_forward_norm: "layer_norm2",
            norms_first: true,
            transposed: false,
        },
        final_norm: Some("post_layernorm"),
        norm: Norm::Layer { epsilon: config.number_or("layer_norm_eps", 1e-5)? },
    })
}
