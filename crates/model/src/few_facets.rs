//! Items that belong to their few largest facets alone: what they have of the others is neither stored nor computed.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::place::Place;

/// Which items belong to which facets, and by which shares.
#[derive(Debug)]
pub(crate) struct FewFacets {
    /// Of each facet.
    members: Vec<Members>,
    /// Each item's facets, the largest first, `[items, kept]`, 64-bit integers.
    facets: Tensor,
    /// Its shares of these, which sum to 1, `[items, kept]`.
    shares: Tensor,
}

/// Items of a facet.
#[derive(Debug)]
struct Members {
    /// Ascending.
    columns: Vec<u32>,
    index: Tensor,
    /// `[members]`
    shares: Tensor,
}

impl FewFacets {
    /// The `kept` largest of `shares`, `[items, facets]`.
    pub(crate) fn of(shares: &Tensor, kept: usize) -> Result<Self> {
        let (items, all) = (shares.size()[0], shares.size()[1]);
        let (largest, facets) = shares.f_topk((kept as i64).min(all), 1, true, true)?;
        let total = largest.f_sum_dim_intlist(1, true, None)?;
        let own = largest.f_div(&total.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?;
        let mut numbers = vec![0_i64; facets.numel()];
        facets.f_to_device(Device::Cpu)?.f_contiguous()?.f_copy_data(&mut numbers, facets.numel())?;
        let width = facets.size()[1] as usize;
        let place = Place::of(shares)?;
        let flat = own.f_reshape([-1])?;
        let members = (0..all).map(|facet| {
            let entries: Vec<i64> =
                (0_i64..).zip(&numbers).filter(|(_, own)| **own == facet).map(|(entry, _)| entry).collect();
            let columns: Vec<u32> = entries.iter().map(|entry| (*entry as usize / width) as u32).collect();
            Ok(Members {
                index: place.indices(&columns.iter().map(|column| i64::from(*column)).collect::<Vec<_>>())?,
                columns,
                shares: flat.f_index_select(0, &place.indices(&entries)?)?,
            })
        });
        let members = members.collect::<Result<_>>()?;
        debug_assert_eq!(own.size()[0], items);
        Ok(Self { members, facets, shares: own })
    }

    /// Shares of some items, `[columns, facets]`, 0 where they don't belong.
    pub(crate) fn rows(&self, columns: &Tensor) -> Result<Tensor> {
        let facets = self.facets.f_index_select(0, columns)?;
        let shares = self.shares.f_index_select(0, columns)?;
        let none =
            Tensor::f_zeros([facets.size()[0], self.members.len() as i64], (shares.f_kind()?, shares.device()))?;
        Ok(none.f_scatter(1, &facets, &shares)?)
    }

    /// Adds to `scores`, `users` rows of the columns `start..start + length`, what each facet says of its own. `part` makes
    /// `[users, columns]` of a facet, its columns and their shares.
    pub(crate) fn add_up(
        &self,
        (start, length): (i64, i64),
        scores: &mut [f32],
        mut part: impl FnMut(i64, &Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        scores.fill(0.0);
        let mut values = Vec::new();
        for (facet, members) in (0_i64..).zip(&self.members) {
            let bound = |column: i64| members.columns.partition_point(|own| i64::from(*own) < column);
            let (first, end) = (bound(start), bound(start + length));
            if first == end {
                continue;
            }
            let narrow = |tensor: &Tensor| tensor.f_narrow(0, first as i64, (end - first) as i64);
            let part = part(facet, &narrow(&members.index)?, &narrow(&members.shares)?)?;
            values.resize(part.numel(), 0.0_f32);
            part.f_to_kind(Kind::Float)?
                .f_to_device(Device::Cpu)?
                .f_contiguous()?
                .f_copy_data(&mut values, part.numel())?;
            let places: Vec<usize> =
                members.columns[first..end].iter().map(|column| *column as usize - start as usize).collect();
            for (row, values) in scores.chunks_exact_mut(length as usize).zip(values.chunks_exact(places.len())) {
                for (place, value) in places.iter().zip(values) {
                    row[*place] += value;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shares() -> Tensor {
        Tensor::from_slice(&[0.6_f32, 0.3, 0.1, 0.1, 0.2, 0.7, 0.0, 1.0, 0.0]).view([3, 3])
    }

    #[test]
    fn the_largest_shares_are_kept_and_sum_to_one() {
        let few = FewFacets::of(&shares(), 2).unwrap();
        let rows = few.rows(&Tensor::from_slice(&[1_i64, 0])).unwrap();
        let expected = Tensor::from_slice(&[0.0_f32, 2.0 / 9.0, 7.0 / 9.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]).view([2, 3]);
        assert!((rows - expected).abs().max().double_value(&[]) < 1e-6);
        let all = FewFacets::of(&shares(), 9).unwrap().rows(&Tensor::from_slice(&[0_i64, 1, 2])).unwrap();
        assert!((all - shares()).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn facets_add_up_over_their_own_items_in_any_block() {
        let few = FewFacets::of(&shares(), 2).unwrap();
        let whole = few.rows(&Tensor::from_slice(&[0_i64, 1, 2])).unwrap();
        for (start, length) in [(0_i64, 3_i64), (1, 2), (2, 1)] {
            let mut scores = vec![9.0_f32; 2 * length as usize];
            // Two users, of whom facets are worth 1, 10, 100 and twice that.
            few.add_up((start, length), &mut scores, |facet, _, shares| {
                let worth = Tensor::from_slice(&[1.0_f32, 2.0]).unsqueeze(1) * 10.0_f64.powi(facet as i32);
                Ok(worth * shares.unsqueeze(0))
            })
            .unwrap();
            for (user, row) in scores.chunks(length as usize).enumerate() {
                for (place, score) in row.iter().enumerate() {
                    let of = |facet: i64| whole.double_value(&[start + place as i64, facet]);
                    let expected = (user + 1) as f64 * (of(0) + 10.0 * of(1) + 100.0 * of(2));
                    assert!((f64::from(*score) - expected).abs() < 1e-4, "{score} instead of {expected}");
                }
            }
        }
    }
}
