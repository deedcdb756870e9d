//! Items that nobody has yet, by their contents: a ridge regression from contents to what training has learnt of items
//! tells what it would have learnt of them.

use tch::{Device, Kind, Tensor};

use crate::config::COMPONENTS;
use crate::consumers::item_vectors;
use crate::error::{ModelError, Result};
use crate::parameters::{Constant, Parameters};
use crate::place::read_numbers;
use crate::ridge::Ridge;

/// Vectors beyond these that make them exact.
const OVERSAMPLING: i64 = 16;
/// How much more an item counts that more people have, as an exponent of their number. What is learnt of an item tells how
/// popular it is, too. With 0, a new item is as popular as items are on average, and the lists, which popular ones fill, hardly
/// show any; with 1, as those that people have on average, and it fills a third of them (MovieLens-100k, a tenth of the items
/// held out).
const POPULARITY: f64 = 0.2;
/// Penalties of the regression.
const PENALTIES: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];

/// The main directions (principal components) of the contents of the first `trained` items, and what all items are in
/// these: `[items, COMPONENTS]`. `directions` are the sources' vectors, `[items, width]`, taken from their means.
pub(crate) fn components(directions: &[&Tensor], trained: i64, seed: u64) -> Result<Tensor> {
    let all = Tensor::f_cat(directions, 1)?;
    let (items, width) = (all.size()[0], all.size()[1]);
    let own = all.f_narrow(0, 0, trained)?;
    let rank = (COMPONENTS + OVERSAMPLING).min(width).min(trained);
    let main = item_vectors(width as usize, rank as usize, seed, |basis: &Tensor| -> Result<Tensor> {
        Ok(own.f_transpose(0, 1)?.f_mm(&own.f_mm(basis)?)?)
    })?;
    // The largest come last.
    let kept = main.size()[1].min(COMPONENTS);
    let main = main.f_narrow(1, main.size()[1] - kept, kept)?;
    let length =
        main.f_square()?.f_sum_dim_intlist(0, true, Kind::Float)?.f_sqrt()?.f_clamp_min(f64::from(f32::EPSILON))?;
    let told = all.f_mm(&main.f_div(&length)?)?;
    let padding = Tensor::f_zeros([items, COMPONENTS - kept], (Kind::Float, Device::Cpu))?;
    Ok(Tensor::f_cat(&[told, padding], 1)?)
}

/// What training would have learnt of the items behind the trained ones: `[cold, columns]` where it has learnt `values`,
/// `[trained, columns]`. `contents` are [`components`] of all items; `known` is 1 where an item has any, else 0; `counts` are
/// their training users.
fn rows(contents: &Tensor, known: &Tensor, counts: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (trained, all) = (values.size()[0], contents.size()[0]);
    if all < trained || known.size()[0] != all {
        return Err(ModelError::Input(format!("contents of {all} items, of which {trained} are trained")));
    }
    let double = |tensor: &Tensor| tensor.f_detach()?.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu);
    let (contents, learnt) = (double(contents)?, double(values)?);
    let weights = double(counts)?.f_pow_tensor_scalar(POPULARITY)?.f_mul(&double(known)?)?;
    let weights = weights.f_narrow(0, 0, trained)?.f_unsqueeze(1)?;
    let total = weights.f_sum(Kind::Double)?.f_clamp_min(f64::MIN_POSITIVE)?;
    let mean = |of: &Tensor| of.f_mul(&weights)?.f_sum_dim_intlist(0, true, Kind::Double)?.f_div(&total);
    let own = contents.f_narrow(0, 0, trained)?;
    let (centre, middle) = (mean(&own)?, mean(&learnt)?);
    // Of weights whose mean is 1, so that penalties mean the same however many people there are.
    let root =
        weights.f_mul(&double(known)?.f_narrow(0, 0, trained)?.f_sum(Kind::Double)?.f_div(&total)?)?.f_sqrt()?;
    let inputs = own.f_sub(&centre)?.f_mul(&root)?;
    let outputs = learnt.f_sub(&middle)?.f_mul(&root)?;
    let ridge = Ridge::best(&inputs, &outputs, &PENALTIES)?;
    let cold = contents.f_narrow(0, trained, all - trained)?.f_sub(&centre)?;
    let told = cold.f_mm(&ridge.weights)?.f_add(&middle)?;
    Ok(told.f_to_kind(values.f_kind()?)?.f_to_device(values.device())?)
}

/// What is known of items that nobody trains with.
pub(crate) struct Cold<'a> {
    contents: &'a Tensor,
    /// `[items]`: 1 where an item has content, else 0.
    known: Tensor,
    counts: &'a Tensor,
}

impl<'a> Cold<'a> {
    pub(crate) fn of(parameters: &'a Parameters) -> Result<Self> {
        let known = parameters.constant(Constant::Known)?.f_amax(0_i64, false)?;
        let counts = parameters.constant(Constant::Counts)?;
        Ok(Self { contents: parameters.constant(Constant::Contents)?, known, counts })
    }

    /// What would be learnt of them where this is learnt of trained items.
    pub(crate) fn rows(&self, learnt: &Tensor) -> Result<Tensor> {
        rows(self.contents, &self.known, self.counts, learnt)
    }

    /// Those of `allowed`, or all, of which anything is known.
    pub(crate) fn readable(&self, trained: usize, allowed: Option<&[i64]>) -> Result<Vec<i64>> {
        let numbers: Vec<f32> = read_numbers(&self.known)?;
        // What isn't there at all is refused by name later on.
        let readable = |item: &i64| {
            let place = usize::try_from(*item).unwrap_or(0);
            place < trained || numbers.get(place).is_none_or(|known| *known > 0.5)
        };
        Ok(match allowed {
            Some(allowed) => allowed.iter().copied().filter(readable).collect(),
            None => (0..numbers.len() as i64).filter(readable).collect(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::noise;

    fn numbers(seed: u64, rows: i64, columns: i64) -> Tensor {
        noise::initial(seed, 0, (rows * columns) as usize).unwrap().view([rows, columns])
    }

    #[test]
    fn what_follows_from_contents_is_told_of_items_that_nobody_has() {
        let contents = numbers(1, 60, 6);
        let learnt = contents.mm(&numbers(2, 6, 3)) + 2.0;
        let components = components(&[&contents.narrow(1, 0, 4), &contents.narrow(1, 4, 2)], 50, 1).unwrap();
        assert_eq!(components.size(), [60, COMPONENTS]);
        let known = Tensor::ones([60], (Kind::Float, Device::Cpu));
        let told = rows(&components, &known, &known, &learnt.narrow(0, 0, 50)).unwrap();
        let difference = (told - learnt.narrow(0, 50, 10)).abs().max().double_value(&[]);
        assert!(difference < 0.1, "{difference}");
    }

    #[test]
    fn items_without_content_have_no_say() {
        let contents = numbers(1, 40, 6);
        let learnt = contents.mm(&numbers(2, 6, 3)).narrow(0, 0, 30);
        let known = Tensor::ones([40], (Kind::Float, Device::Cpu));
        let _ = known.narrow(0, 7, 1).zero_();
        let components = components(&[&contents], 30, 1).unwrap();
        let before = rows(&components, &known, &known.ones_like(), &learnt).unwrap();
        let _ = learnt.narrow(0, 7, 1).fill_(100.0);
        assert!(before == rows(&components, &known, &known.ones_like(), &learnt).unwrap());
    }

    #[test]
    fn what_is_learnt_of_popular_items_counts_more() {
        // Two kinds of items that contents don't tell apart: one has all people, and another vector.
        let contents = numbers(1, 41, 4);
        let kind = Tensor::arange(40, (Kind::Float, Device::Cpu)).remainder(2.0).unsqueeze(1);
        let known = Tensor::ones([41], (Kind::Float, Device::Cpu));
        let components = components(&[&contents], 40, 1).unwrap();
        let told = |counts: &Tensor| rows(&components, &known, counts, &kind).unwrap().double_value(&[0, 0]);
        let popular = (kind.squeeze_dim(1) * 999.0 + 1.0).constant_pad_nd([0, 1]);
        assert!(told(&popular) > told(&known) + 0.1, "{} and {}", told(&popular), told(&known));
    }
}
