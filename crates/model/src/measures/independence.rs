//! Independence: whether facets repeat each other.

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::permutation::permutation;
use crate::error::{ModelError, Result};

/// How often people are shuffled for the floor.
const SHUFFLES: u32 = 20;
/// The most dimensions of all facets together for which [`independence`] is measured: their correlations take 8 bytes for
/// each two of them.
pub const MOST_DIMENSIONS: i64 = 2048;
/// A dimension whose variance is a smaller share of the mean variance than this is constant: it says nothing.
const CONSTANT: f64 = 1e-8;

/// How much facets repeat each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Independence {
    /// The correlation beyond the floor; 0 is best.
    pub excess: f64,
    /// Mean absolute correlation between dimensions of different facets.
    pub correlation: f64,
    /// What that comes to where the people are shuffled in each facet by itself: facets that have nothing to do with each
    /// other, and as few people.
    pub floor: f64,
    /// How alike two facets are, whatever their dimensions stand for: linear centred kernel alignment (Kornblith, Norouzi, Lee
    /// and Hinton, "Similarity of Neural Network Representations Revisited", 2019), the mean over pairs of facets. 1 where
    /// facets are copies of each other, turned in any way.
    pub likeness: f64,
    /// What `likeness` comes to where the people are shuffled in each facet by itself: the more dimensions and the fewer
    /// people, the more.
    pub likeness_floor: f64,
    /// Share of the dimensions that vary among people. Those that don't are left out, so few of them are no merit.
    pub varying: f64,
}

/// Independence of the facets of held-out people's `latents`, `[people, facets, dimensions]`. `None` where fewer than two
/// facets vary among people, since there is nothing that could be repeated, and with more than 2,048 dimensions in all.
///
/// # Errors
/// [`ModelError::Input`] where the tensor has another shape; [`ModelError::Torch`].
pub fn independence(latents: &Tensor, seed: u64) -> Result<Option<Independence>> {
    let _guard = tch::no_grad_guard();
    let &[people, facets, dimensions] = latents.size().as_slice() else {
        return Err(ModelError::Input(format!(
            "latents of people by facet have three dimensions, not {latents:?}"
        )));
    };
    if people < 3 || facets < 2 || facets * dimensions > MOST_DIMENSIONS {
        return Ok(None);
    }
    let latents = latents.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
    let centred = latents.f_sub(&latents.f_mean_dim(0, true, Kind::Double)?)?;
    let variances = centred.f_square()?.f_mean_dim(0, false, Kind::Double)?;
    let smallest = variances.f_mean(Kind::Double)?.f_mul_scalar(CONSTANT)?;
    let varies = variances.f_gt_tensor(&smallest)?;
    let varying = varies.f_to_kind(Kind::Double)?;
    let by_facet = varying.f_sum_dim_intlist(1, false, Kind::Double)?;
    if f64::try_from(by_facet.f_gt(0.0)?.f_sum(Kind::Double)?)? < 2.0 {
        return Ok(None);
    }
    // Columns of length 1, so that products are correlations; constant ones are 0.
    let scale = variances.f_mul_scalar(people as f64)?.f_sqrt()?.f_reciprocal()?;
    let scale = scale.f_where_self(&varies, &variances.f_zeros_like()?)?;
    let columns = centred.f_mul(&scale)?;
    // Pairs of different facets, both of which vary.
    let flat = varying.f_view([facets * dimensions, 1])?;
    let facet = Tensor::f_arange(facets, (Kind::Int64, Device::Cpu))?
        .f_repeat_interleave_self_int(dimensions, None, None)?;
    let differs = facet.f_unsqueeze(0)?.f_ne_tensor(&facet.f_unsqueeze(1)?)?.f_to_kind(Kind::Double)?;
    let pairs = flat.f_mm(&flat.f_transpose(0, 1)?)?.f_mul(&differs)?;
    let count = f64::try_from(pairs.f_sum(Kind::Double)?)?;
    let lively = by_facet.f_gt(0.0)?.f_to_kind(Kind::Double)?;
    let others = lively.f_outer(&lively)?.f_sub(&lively.f_diag(0)?)?;
    let others_count = f64::try_from(others.f_sum(Kind::Double)?)?;
    let measure = |columns: &Tensor| -> Result<(f64, f64)> {
        let columns = columns.f_reshape([people, facets * dimensions])?;
        let products = columns.f_transpose(0, 1)?.f_mm(&columns)?;
        let correlation = f64::try_from(products.f_abs()?.f_mul(&pairs)?.f_sum(Kind::Double)?)? / count;
        let shared = products.f_square()?.f_view([facets, dimensions, facets, dimensions])?;
        let shared = shared.f_sum_dim_intlist([1_i64, 3].as_slice(), false, Kind::Double)?;
        let own = shared.f_diagonal(0, 0, 1)?;
        // A facet that doesn't vary shares nothing with any, itself included.
        let scale = own.f_outer(&own)?.f_sqrt()?.f_clamp_min(f64::MIN_POSITIVE)?;
        let likeness = f64::try_from(shared.f_div(&scale)?.f_mul(&others)?.f_sum(Kind::Double)?)? / others_count;
        Ok((correlation, likeness))
    };
    let (mut floor, mut likeness_floor) = (0.0, 0.0);
    for shuffle in 0..SHUFFLES {
        let shuffled = (0..facets).map(|facet| {
            let number = shuffle * facets as u32 + facet as u32;
            let order = permutation(people as usize, seed, number).into_iter().map(|person| person as i64);
            let order = Tensor::f_from_slice(&order.collect::<Vec<_>>())?;
            Ok(columns.f_select(1, facet)?.f_index_select(0, &order)?)
        });
        let shuffled = Tensor::f_stack(&shuffled.collect::<Result<Vec<_>>>()?, 1)?;
        let (correlation, likeness) = measure(&shuffled)?;
        floor += correlation / f64::from(SHUFFLES);
        likeness_floor += likeness / f64::from(SHUFFLES);
    }
    let varying = f64::try_from(varying.f_mean(Kind::Double)?)?;
    let (correlation, likeness) = measure(&columns)?;
    Ok(Some(Independence { excess: correlation - floor, correlation, floor, likeness, likeness_floor, varying }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PEOPLE: i64 = 400;

    fn noise(facets: i64) -> Tensor {
        tch::manual_seed(3);
        Tensor::randn([PEOPLE, facets, 5], (Kind::Float, Device::Cpu))
    }

    fn of(latents: &Tensor) -> Independence {
        independence(latents, 1).unwrap().unwrap()
    }

    #[test]
    fn facets_that_have_nothing_to_do_with_each_other_are_at_the_floor() {
        let found = of(&noise(3));
        assert!(found.excess.abs() < 0.01 && found.floor > 0.02 && found.varying == 1.0, "{found:?}");
        assert!((found.likeness - found.likeness_floor).abs() < 0.01 && found.likeness < 0.05, "{found:?}");
    }

    #[test]
    fn copies_are_alike_however_they_are_turned_and_however_many_dimensions_they_have() {
        tch::manual_seed(5);
        let one = Tensor::randn([PEOPLE, 1, 60], (Kind::Float, Device::Cpu));
        let (turn, _) = Tensor::linalg_qr(&Tensor::randn([60, 60], (Kind::Float, Device::Cpu)), "reduced");
        for other in [one.copy(), one.matmul(&turn)] {
            let found = of(&Tensor::cat(&[&one, &other], 1));
            assert!(found.likeness > 0.95 && found.likeness_floor < 0.2, "{found:?}");
        }
        // By single dimensions next to nothing is seen of it.
        assert!(of(&Tensor::cat(&[&one, &one.matmul(&turn)], 1)).excess < 0.1);
    }

    #[test]
    fn facets_that_are_all_the_same_are_found_out() {
        // What routing that does nothing comes to.
        let found = of(&noise(1).expand([PEOPLE, 3, 5], false));
        // Of 25 pairs of dimensions 5 are the same, and the others as the floor.
        assert!((found.excess - 0.2 * (1.0 - found.floor)).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn shared_noise_is_measured_by_as_much_as_it_correlates() {
        let own = noise(2);
        let shared = Tensor::randn([PEOPLE, 1, 1], (Kind::Float, Device::Cpu));
        let found = of(&(own + shared));
        assert!((found.correlation - 0.5).abs() < 0.07, "{found:?}");
    }

    #[test]
    fn what_does_not_vary_wins_nothing() {
        let constant = noise(3);
        let _ = constant.select(1, 1).fill_(0.7);
        let found = of(&constant);
        assert!((found.varying - 2.0 / 3.0).abs() < 1e-9 && found.floor > 0.02, "{found:?}");
        let _ = constant.select(1, 2).fill_(0.1);
        assert_eq!(independence(&constant, 1).unwrap(), None);
        assert_eq!(independence(&Tensor::zeros([PEOPLE, 3, 5], (Kind::Float, Device::Cpu)), 1).unwrap(), None);
        assert_eq!(independence(&noise(1), 1).unwrap(), None);
        assert!(independence(&noise(1).view([PEOPLE, 5]), 1).is_err());
    }
}
