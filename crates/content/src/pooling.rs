//! How the vectors of an input's tokens become one.

use tch::{Kind, Tensor};

use crate::error::Result;

/// How the vectors of an input's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean (Reimers and Gurevych 2019).
    Mean,
    /// The first one, which stands for the whole in BERT and in vision transformers.
    Cls,
    /// The last one, the only one that has seen all others where tokens see those before them.
    LastToken,
}

impl Pooling {
    /// [`Self::pool`] of each layer's tokens: `[inputs, layers, width]`.
    pub(crate) fn pool_layers(self, layers: &[Tensor], lengths: &[i64]) -> Result<Tensor> {
        let pooled: Vec<Tensor> = layers.iter().map(|tokens| self.pool(tokens, lengths)).collect::<Result<_>>()?;
        Ok(Tensor::f_stack(&pooled, 1)?)
    }

    /// `[inputs, tokens, width]` to `[inputs, width]`, by the tokens of each input. The rest fills up, and counts nothing.
    pub(crate) fn pool(self, tokens: &Tensor, lengths: &[i64]) -> Result<Tensor> {
        let (inputs, longest, width) = tokens.size3()?;
        let lengths = Tensor::f_from_slice(lengths)?.f_to_device(tokens.device())?;
        Ok(match self {
            Pooling::Cls => tokens.f_select(1, 0)?,
            Pooling::LastToken => {
                let last = lengths.f_add_scalar(-1)?.f_view([inputs, 1, 1])?.f_expand([inputs, 1, width], false)?;
                tokens.f_gather(1, &last, false)?.f_squeeze_dim(1)?
            }
            Pooling::Mean => {
                let positions = Tensor::f_arange(longest, (Kind::Int64, tokens.device()))?;
                let own = positions.f_lt_tensor(&lengths.f_unsqueeze(1)?)?.f_unsqueeze(2)?;
                // What fills up may be no number: it is left out, not multiplied by 0.
                let sum = tokens.f_where_self(&own, &tokens.f_zeros_like()?)?.f_sum_dim_intlist(1, false, None)?;
                sum.f_div(&lengths.f_unsqueeze(1)?)?
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Pooling::Mean, [2.0, 5.0])]
    #[case(Pooling::Cls, [1.0, 5.0])]
    #[case(Pooling::LastToken, [3.0, 5.0])]
    fn what_fills_up_counts_nothing(#[case] pooling: Pooling, #[case] expected: [f64; 2]) {
        let tokens = Tensor::from_slice(&[1.0, 2.0, 3.0, 5.0, f32::NAN, 700.0]).view([2, 3, 1]);
        let pooled = pooling.pool(&tokens, &[3, 1]).unwrap();
        assert_eq!([pooled.double_value(&[0, 0]), pooled.double_value(&[1, 0])], expected);
    }
}
