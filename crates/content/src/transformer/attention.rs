//! Attention over several heads.

use tch::Tensor;

use crate::architecture::{Attention as Shape, Projections};
use crate::error::Result;

use super::layers::{Linear, Named, Norm, Source};
use super::rotary::{self, Angles};
use super::tuning::Matrix;

/// Which tokens see which, and from where: the same for all blocks.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) causal: bool,
    /// Added to the scores, broadcast to `[inputs, heads, tokens, tokens]`.
    pub(super) mask: Option<Tensor>,
    pub(super) angles: Option<Angles>,
}

#[derive(Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    head_norms: Option<(Norm, Norm)>,
    heads: i64,
    key_value_heads: i64,
    head_width: i64,
}

impl Attention {
    pub(super) fn load(
        source: &Source<'_>,
        layer: &str,
        shape: &Shape,
        width: i64,
        transposed: bool,
    ) -> Result<Self> {
        let (own, shared) = (shape.heads * shape.head_width, shape.key_value_heads * shape.head_width);
        let [query, key, value] = match shape.projections {
            Projections::Apart([query, key, value]) => [
                source.linear(layer, query, [own, width], transposed)?,
                source.linear(layer, key, [shared, width], transposed)?,
                source.linear(layer, value, [shared, width], transposed)?,
            ],
            Projections::Fused(all) => {
                source.linear(layer, all, [own + 2 * shared, width], transposed)?.split([own, shared, shared])?
            }
        };
        let norm = |name: &str| source.norm(&format!("{layer}{name}"), shape.head_width);
        Ok(Self {
            query,
            key,
            value,
            output: source.linear(layer, shape.output, [width, own], transposed)?,
            head_norms: shape
                .head_norms
                .map(|(query, key)| Ok::<_, crate::ContentError>((norm(query)?, norm(key)?)))
                .transpose()?,
            heads: shape.heads,
            key_value_heads: shape.key_value_heads,
            head_width: shape.head_width,
        })
    }

    pub(super) fn matrices(&self) -> [(Matrix, &Linear); 4] {
        let Self { query, key, value, output, .. } = self;
        [(Matrix::Query, query), (Matrix::Key, key), (Matrix::Value, value), (Matrix::Output, output)]
    }

    pub(super) fn matrices_mut(&mut self) -> [(Matrix, &mut Linear); 4] {
        let Self { query, key, value, output, .. } = self;
        [(Matrix::Query, query), (Matrix::Key, key), (Matrix::Value, value), (Matrix::Output, output)]
    }

    pub(super) fn head_norms(&self, name: &str) -> Named {
        let norms = self.head_norms.iter().flat_map(|(query, key)| [("query_norm", query), ("key_norm", key)]);
        norms.flat_map(|(part, norm)| norm.tensors(&format!("{name}.{part}"))).collect()
    }

    pub(super) fn forward(&self, input: &Tensor, sight: &Sight) -> Result<Tensor> {
        let (inputs, tokens, _) = input.size3()?;
        let heads = |projected: Tensor, heads: i64| projected.f_view([inputs, tokens, heads, self.head_width]);
        let mut query = heads(self.query.forward(input)?, self.heads)?;
        let mut key = heads(self.key.forward(input)?, self.key_value_heads)?;
        if let Some((of_queries, of_keys)) = &self.head_norms {
            (query, key) = (of_queries.forward(&query)?, of_keys.forward(&key)?);
        }
        let (mut query, mut key) = (query.f_transpose(1, 2)?, key.f_transpose(1, 2)?);
        let value = heads(self.value.forward(input)?, self.key_value_heads)?.f_transpose(1, 2)?;
        if let Some(angles) = &sight.angles {
            (query, key) = (rotary::turn(&query, angles)?, rotary::turn(&key, angles)?);
        }
        let (key, value) = (self.share(&key)?, self.share(&value)?);
        let causal = sight.causal && tokens > 1;
        let seen = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            sight.mask.as_ref(),
            0.0,
            causal,
            None,
            false,
        )?;
        self.output.forward(&seen.f_transpose(1, 2)?.f_reshape([inputs, tokens, self.heads * self.head_width])?)
    }

    /// `[inputs, key_value_heads, tokens, head_width]`, each repeated for the heads that share it.
    fn share(&self, shared: &Tensor) -> Result<Tensor> {
        let times = self.heads / self.key_value_heads;
        if times == 1 {
            return Ok(shared.shallow_clone());
        }
        Ok(shared.f_repeat_interleave_self_int(times, 1, None)?)
    }
}
