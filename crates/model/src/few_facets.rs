//! Items that belong to their few largest facets alone: what they have of the others is neither stored nor computed.

use tch::Tensor;

use crate::error::Result;
use crate::place::{Place, read_numbers, read_numbers_into};

/// Which items belong to which facets, and by which shares: for each item and facet that is kept, 10 bytes.
#[derive(Debug)]
pub(crate) struct FewFacets {
    /// How many an item has.
    kept: usize,
    /// Each item's facets, the largest first, `kept` of each item.
    facets: Vec<u16>,
    /// Its shares of these, which sum to 1.
    shares: Vec<f32>,
    /// Items of each facet, ascending.
    members: Vec<Vec<u32>>,
    /// Where they are multiplied.
    place: Place,
}

impl FewFacets {
    /// The `kept` largest of `shares`, `[items, facets]`.
    pub(crate) fn of(shares: &Tensor, kept: usize) -> Result<Self> {
        let (all, place) = (shares.size()[1], Place::of(shares)?);
        let (largest, facets) = shares.f_topk((kept as i64).clamp(1, all), 1, true, true)?;
        let total = largest.f_sum_dim_intlist(1, true, None)?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
        let (numbers, shares): (Vec<i64>, _) = (read_numbers(&facets)?, read_numbers(&largest.f_div(&total)?)?);
        let kept = facets.size()[1] as usize;
        let mut members = vec![Vec::new(); all as usize];
        for (entry, facet) in numbers.iter().enumerate() {
            members[*facet as usize].push((entry / kept) as u32);
        }
        Ok(Self { kept, facets: numbers.into_iter().map(|facet| facet as u16).collect(), shares, members, place })
    }

    /// An item's facets and its shares of them.
    fn of_item(&self, item: usize) -> impl Iterator<Item = (usize, f32)> {
        let entries = item * self.kept..(item + 1) * self.kept;
        let facets = self.facets[entries.clone()].iter().map(|facet| usize::from(*facet));
        facets.zip(self.shares[entries].iter().copied())
    }

    /// Shares of some items, `[columns, facets]`, 0 where they don't belong.
    pub(crate) fn rows(&self, columns: &Tensor) -> Result<Tensor> {
        let items: Vec<i64> = read_numbers(columns)?;
        let facets = self.members.len();
        let mut rows = vec![0.0_f32; items.len() * facets];
        for (item, row) in items.iter().zip(rows.chunks_exact_mut(facets)) {
            self.of_item(*item as usize).for_each(|(facet, share)| row[facet] = share);
        }
        Ok(self.place.numbers(&rows)?.f_view_([-1, facets as i64])?)
    }

    /// Adds to `scores`, rows of the columns `start..start + length`, what each facet says of its own items. `part` makes
    /// `[users, columns]` of a facet, its columns and their shares.
    pub(crate) fn add_up(
        &self,
        (start, length): (i64, i64),
        scores: &mut [f32],
        mut part: impl FnMut(i64, &Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        scores.fill(0.0);
        let mut values: Vec<f32> = Vec::new();
        for (facet, members) in self.members.iter().enumerate() {
            let bound = |column: i64| members.partition_point(|own| i64::from(*own) < column);
            let own = &members[bound(start)..bound(start + length)];
            if own.is_empty() {
                continue;
            }
            let columns: Vec<i64> = own.iter().map(|column| i64::from(*column)).collect();
            let share = |column: &u32| {
                let mut found = self.of_item(*column as usize).filter(|(other, _)| *other == facet);
                found.next().map_or(0.0, |(_, share)| share)
            };
            let shares: Vec<f32> = own.iter().map(share).collect();
            let part = part(facet as i64, &self.place.indices(&columns)?, &self.place.numbers(&shares)?)?;
            read_numbers_into(&part, &mut values)?;
            for (row, values) in scores.chunks_exact_mut(length as usize).zip(values.chunks_exact(own.len())) {
                for (column, value) in columns.iter().zip(values) {
                    row[(column - start) as usize] += value;
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
