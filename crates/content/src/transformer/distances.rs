//! Terms of attention's scores by distance (Raffel et al. 2020): near distances have a bucket each, far ones share them.

use tch::{Device, Kind, Tensor};

use crate::error::Result;

use super::layers::{Named, Source};

/// From here on all distances are the same.
const FARTHEST: f64 = 128.0;

#[derive(Debug)]
pub(super) struct Distances {
    /// `[buckets, heads]`.
    table: Tensor,
    buckets: i64,
}

impl Distances {
    pub(super) fn load(source: &Source<'_>, (name, buckets): (&str, i64), heads: i64) -> Result<Self> {
        Ok(Self { table: source.tensor(name, &[buckets, heads])?, buckets })
    }

    pub(super) fn tensors(&self) -> Named {
        vec![("distances".into(), self.table.shallow_clone())]
    }

    /// `[1, heads, tokens, tokens]`.
    pub(super) fn terms(&self, tokens: i64) -> Result<Tensor> {
        let buckets = buckets(tokens, self.buckets, self.table.device())?;
        let terms = Tensor::f_embedding(&self.table, &buckets, -1, false, false)?;
        Ok(terms.f_permute([2, 0, 1])?.f_unsqueeze(0)?.f_contiguous()?)
    }
}

/// The bucket of each pair `[query, key]`: one half is for keys that come later.
fn buckets(tokens: i64, buckets: i64, device: Device) -> Result<Tensor> {
    let positions = Tensor::f_arange(tokens, (Kind::Int64, device))?;
    let back = positions.f_unsqueeze(1)?.f_sub(&positions)?;
    let half = buckets / 2;
    let later = back.f_lt(0)?.f_to_kind(Kind::Int64)?.f_mul_scalar(half)?;
    let distance = back.f_abs()?;
    let near = half / 2;
    // In 32-bit floats, as pretraining counted.
    let logarithm = distance.f_to_kind(Kind::Float)?.f_div_scalar(near as f64)?.f_log()?;
    let far = logarithm.f_div_scalar((FARTHEST / near as f64).ln())?.f_mul_scalar((half - near) as f64)?;
    let far = far.f_clamp_min(0.0)?.f_to_kind(Kind::Int64)?.f_add_scalar(near)?.f_clamp_max(half - 1)?;
    Ok(later.f_add(&distance.f_where_self(&distance.f_lt(near)?, &far)?)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_their_own_bucket_and_far_ones_share_one() {
        let buckets = buckets(300, 32, Device::Cpu).unwrap();
        let bucket = |query: i64, key: i64| buckets.int64_value(&[query, key]);
        assert_eq!([bucket(9, 9), bucket(9, 8), bucket(9, 2)], [0, 1, 7]);
        assert_eq!([bucket(9, 10), bucket(9, 16)], [17, 23]);
        assert_eq!(bucket(50, 41), bucket(50, 40));
        assert_eq!([bucket(299, 0), bucket(0, 299), bucket(299, 170)], [15, 31, 15]);
    }
}
