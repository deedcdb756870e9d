//! Models that were made to write: GPT-2 (Radford et al. 2019), and those of Llama's form (Touvron et al. 2023).

use serde_json::{Value, json};

use super::config::Config;
use super::{
    Architecture, Attention, Block, Embeddings, FeedForward, Linear, Norm, Positions, Projections, Rotary, Scaling,
};
use crate::error::Result;

pub(super) fn gpt2(config: &Config<'_>) -> Result<Architecture> {
    config.only("scale_attn_weights", json!(true))?;
    config.only("scale_attn_by_inverse_layer_idx", json!(false))?;
    config.only("add_cross_attention", json!(false))?;
    let (width, heads) = (config.integer("n_embd")?, config.integer("n_head")?);
    Ok(Architecture {
        width,
        depth: config.size("n_layer")?,
        prefixes: &["", "transformer."],
        embeddings: Embeddings::Tokens {
            words: ("wte.weight", config.integer("vocab_size")?),
            positions: Some(Positions { name: "wpe.weight", rows: config.integer("n_positions")?, first: 0 }),
            kinds: None,
            norm: None,
        },
        block: Block {
            layer: "h.{}.",
            attention: Attention {
                projections: Projections::Fused(Linear::with_bias("attn.c_attn")),
                causal: true,
                ..Attention::plain(heads, config.share(width, heads)?, [""; 3], "attn.c_proj")
            },
            attention_norm: "ln_1",
            feed_forward: FeedForward::plain(
                config.integer_or("n_inner", 4 * width)?,
                "mlp.c_fc",
                "mlp.c_proj",
                config.activation_or("activation_function", "gelu_new")?,
            ),
            feed_forward_norm: "ln_2",
            norms_first: true,
            transposed: true,
        },
        final_norm: Some("ln_f"),
        norm: Norm::Layer { epsilon: config.number_or("layer_norm_epsilon", 1e-5)? },
    })
}

pub(super) fn llama(config: &Config<'_>) -> Result<Architecture> {
    let biased = config.flag_or("attention_bias", false)?;
    let reach = Reach { positions: config.integer_or("max_position_embeddings", 2048)?, window: None };
    of_llamas_form(config, Biases { projections: biased, output: biased }, false, reach)
}

pub(super) fn mistral(config: &Config<'_>) -> Result<Architecture> {
    let positions = config.integer_or("max_position_embeddings", 131_072)?;
    // Its default is a window, and none has to be said.
    let window = match config.values.get("sliding_window") {
        None => Some(4096),
        Some(_) => config.integer_or_none("sliding_window")?,
    };
    of_llamas_form(config, Biases::default(), false, Reach { positions, window })
}

pub(super) fn qwen2(config: &Config<'_>) -> Result<Architecture> {
    let biases = Biases { projections: true, output: false };
    of_llamas_form(config, biases, false, reach_of_qwen(config)?)
}

pub(super) fn qwen3(config: &Config<'_>) -> Result<Architecture> {
    let biased = config.flag_or("attention_bias", false)?;
    of_llamas_form(config, Biases { projections: biased, output: biased }, true, reach_of_qwen(config)?)
}

fn reach_of_qwen(config: &Config<'_>) -> Result<Reach> {
    let positions = config.integer_or("max_position_embeddings", 32_768)?;
    let window = match config.flag_or("use_sliding_window", false)? {
        true => Some(config.integer_or("sliding_window", 4096)?),
        false => None,
    };
    Ok(Reach { positions, window })
}

/// How long a text may be.
#[derive(Clone, Copy)]
struct Reach {
    /// Tokens of the longest text that was trained on, before positions were scaled.
    positions: i64,
    /// Tokens that each one sees before it, where they aren't all.
    window: Option<i64>,
}

/// Which of the attention's matrices have one.
#[derive(Default)]
struct Biases {
    projections: bool,
    output: bool,
}

fn of_llamas_form(config: &Config<'_>, biases: Biases, norms_heads: bool, reach: Reach) -> Result<Architecture> {
    let (width, heads) = (config.integer("hidden_size")?, config.integer("num_attention_heads")?);
    let head_width = match config.integer_or_none("head_dim")? {
        Some(width) => width,
        None => config.share(width, heads)?,
    };
    let projection = |name| Linear { name, bias: biases.projections };
    let inner = config.flag_or("mlp_bias", false)?;
    let inner = |name| Linear { name, bias: inner };
    Ok(Architecture {
        width,
        depth: config.size("num_hidden_layers")?,
        prefixes: &["", "model."],
        embeddings: Embeddings::Tokens {
            words: ("embed_tokens.weight", config.integer("vocab_size")?),
            positions: None,
            kinds: None,
            norm: None,
        },
        block: Block {
            layer: "layers.{}.",
            attention: Attention {
                heads,
                key_value_heads: config.integer_or("num_key_value_heads", heads)?,
                head_width,
                projections: Projections::Apart([
                    projection("self_attn.q_proj"),
                    projection("self_attn.k_proj"),
                    projection("self_attn.v_proj"),
                ]),
                output: Linear { name: "self_attn.o_proj", bias: biases.output },
                head_norms: norms_heads.then_some(("self_attn.q_norm", "self_attn.k_norm")),
                causal: true,
                rotary: Some(rotary(config, reach)?),
                distances: None,
            },
            attention_norm: "input_layernorm",
            feed_forward: FeedForward {
                width: config.integer("intermediate_size")?,
                up: inner("mlp.up_proj"),
                gate: Some(inner("mlp.gate_proj")),
                down: inner("mlp.down_proj"),
                activation: config.activation_or("hidden_act", "silu")?,
            },
            feed_forward_norm: "post_attention_layernorm",
            norms_first: true,
            transposed: false,
        },
        final_norm: Some("norm"),
        norm: Norm::RootMeanSquare { epsilon: config.number_or("rms_norm_eps", 1e-6)? },
    })
}

/// Since `transformers` 5 all of it lies in `rope_parameters`; before, the base lay beside `rope_scaling`.
fn rotary(config: &Config<'_>, reach: Reach) -> Result<Rotary> {
    config.only("partial_rotary_factor", json!(1.0))?;
    let field = if config.value("rope_parameters").is_some() { "rope_parameters" } else { "rope_scaling" };
    let empty = json!({});
    let values = config.value(field).unwrap_or(&empty);
    let inner = Config { file: config.file, values };
    let base = inner.number_or("rope_theta", config.number_or("rope_theta", 10_000.0)?)?;
    let kind = inner.value("rope_type").or_else(|| inner.value("type")).and_then(Value::as_str);
    let factor = || inner.number_or("factor", 1.0);
    let scaling = match kind.unwrap_or("default") {
        "default" => Scaling::Unscaled,
        "linear" => Scaling::Linear { factor: factor()? },
        "llama3" => Scaling::Llama3 {
            factor: factor()?,
            low_frequency: inner.number_or("low_freq_factor", 1.0)?,
            high_frequency: inner.number_or("high_freq_factor", 4.0)?,
            original: inner.number_or("original_max_position_embeddings", 8192.0)?,
        },
        other => {
            let reason =
                format!("`{field}` of type {other} isn't supported; supported are default, linear and llama3");
            return Err(config.refuse(reason));
        }
    };
    // Checkpoints say how far positions went before they were divided.
    let positions = match scaling {
        Scaling::Linear { factor } => (reach.positions as f64 * factor.max(1.0)) as i64,
        Scaling::Unscaled | Scaling::Llama3 { .. } => reach.positions,
    };
    Ok(Rotary { base, scaling, longest: reach.window.map_or(positions, |window| positions.min(window)) })
}
