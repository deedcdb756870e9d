//! Where items belong by who consumes them: the way of items without content.
//!
//! Who has what is told by a truncated singular value decomposition, and a ridge regression from its item vectors learns
//! where content places the items that have any. No item's own content has a say in where its consumers place it: what
//! is told of an item with content is told by the others (leave-one-out, in closed form).

use tch::{Device, Kind, Tensor};

use crate::error::{ModelError, Result};
use crate::noise;
use crate::ridge::Ridge;
use crate::routing::normalise;

/// The most numbers that the items' vectors have: 256 MB with 32 bits.
const MOST_NUMBERS: usize = 1 << 26;
/// Singular vectors that are looked for, where there are so many.
const RANK: usize = 128;
/// Vectors beyond the rank that make those of the rank exact, and rounds (Halko, Martinsson and Tropp 2011).
const OVERSAMPLING: usize = 16;
const ROUNDS: usize = 6;
/// Penalties of the regression, of which the one with the smallest leave-one-out error is taken.
const PENALTIES: [f64; 6] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
/// What the mean of the largest shares is brought to. A regression is torn towards the mean, so its own shares are far
/// from deciding anything: those that are best by squared error have .5 on MovieLens-100k, and half of the agreement.
const DECIDED: f64 = 0.9;
/// The most items by which that is judged.
const MOST_JUDGED: i64 = 20_000;
/// Place of the first directions among the random numbers of fresh parameters.
const DIRECTIONS: usize = 64;

/// How many singular vectors `items` of so many users have at most.
pub fn rank_for(items: usize, users: u64) -> usize {
    let most = MOST_NUMBERS / items.max(1);
    let own = items.min(usize::try_from(users).unwrap_or(usize::MAX));
    (RANK + OVERSAMPLING).min(most).min(own)
}

/// Vectors of items by who has them, `[items, rank]`: the right singular vectors of a matrix `Y` of users and items, times
/// their singular values, by subspace iteration. `product` gives `Y' Y V` for a `V` of `[items, rank]`; several processes
/// that each have some of the users add theirs up.
///
/// # Errors
/// Those of `product`.
pub fn item_vectors<E: From<ModelError>>(
    items: usize,
    rank: usize,
    seed: u64,
    mut product: impl FnMut(&Tensor) -> std::result::Result<Tensor, E>,
) -> std::result::Result<Tensor, E> {
    let _guard = tch::no_grad_guard();
    let torch = |error: tch::TchError| E::from(ModelError::from(error));
    let start = noise::initial(seed, DIRECTIONS, items * rank)?;
    let mut directions = start.f_view([items as i64, rank as i64]).map_err(torch)?;
    for _ in 0..ROUNDS {
        directions = orthonormal(&product(&directions)?)?;
    }
    let image = product(&directions)?;
    Ok(ritz(&directions, &image)?)
}

fn orthonormal(columns: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_linalg_qr(columns, "reduced")?.0)
}

/// From a basis of a space and its image, to the singular vectors in that space, times their values.
fn ritz(basis: &Tensor, image: &Tensor) -> Result<Tensor> {
    let small = basis.f_transpose(0, 1)?.f_mm(image)?;
    let small = small.f_add(&small.f_transpose(0, 1)?)?.f_mul_scalar(0.5)?;
    let (values, vectors) = small.f_linalg_eigh("L")?;
    // The largest come last.
    let rank = basis.size()[1];
    let kept = rank.min(RANK as i64);
    let values = values.f_narrow(0, rank - kept, kept)?.f_clamp_min(0.0)?.f_sqrt()?;
    let vectors = basis.f_mm(&vectors.f_narrow(1, rank - kept, kept)?)?;
    Ok(vectors.f_mul(&values)?)
}

/// Logits of where the items' consumers place them, `[facets, items]`, from the items' vectors (`[items, rank]`), where
/// contents place them (`shares`, `[facets, items]`), which items have content (`known`, `[items]`, 1 or 0), and how many
/// training users each item has.
pub(crate) fn place(vectors: &Tensor, shares: &Tensor, known: &Tensor, counts: &[u64]) -> Result<Tensor> {
    let items = known.size()[0];
    if vectors.size()[0] != items || counts.len() as i64 != items {
        let (of, counted) = (vectors.size()[0], counts.len());
        return Err(ModelError::Input(format!("vectors of {of} items and counts of {counted}, not of {items}")));
    }
    let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu);
    let features = normalise(&double(vectors)?)?;
    let (targets, known) = (double(&shares.f_transpose(0, 1)?)?, double(known)?);
    // Of an item that many have, more is known.
    let roots: Vec<f64> = counts.iter().map(|count| (*count as f64).sqrt()).collect();
    let weights = Tensor::f_from_slice(&roots)?.f_mul(&known)?.f_unsqueeze(1)?;
    let total = weights.f_sum(Kind::Double)?.f_clamp_min(f64::MIN_POSITIVE)?;
    let mean = targets.f_mul(&weights)?.f_sum_dim_intlist(0, true, Kind::Double)?.f_div(&total)?;
    let root = weights.f_mul(&known.f_sum(Kind::Double)?.f_div(&total)?)?.f_sqrt()?;
    let targets = targets.f_sub(&mean)?;
    let (inputs, outputs) = (features.f_mul(&root)?, targets.f_mul(&root)?);

    let best = Ridge::best(&inputs, &outputs, &PENALTIES)?;
    let told = features.f_mm(&best.weights)?;
    // What the others say of an item with content.
    let apart = targets.f_sub(&best.residuals.f_div(&root.f_clamp_min(f64::MIN_POSITIVE)?)?)?;
    let told = apart.f_where_self(&known.f_unsqueeze(1)?.f_gt(0.5)?, &told)?;
    // The most popular ones tell: no more is done than other ranks can wait for.
    let judged = items.min(MOST_JUDGED);
    let weights = weights.f_narrow(0, 0, judged)?;
    let total = weights.f_sum(Kind::Double)?.f_clamp_min(f64::MIN_POSITIVE)?;
    let scale = scale_that_decides(&told.f_narrow(0, 0, judged)?, &weights.f_div(&total)?)?;
    Ok(told.f_mul_scalar(scale)?.f_transpose(0, 1)?.f_contiguous()?)
}

/// The factor of logits `[items, facets]` by which the weighted mean of the largest shares comes to [`DECIDED`].
fn scale_that_decides(logits: &Tensor, weights: &Tensor) -> Result<f64> {
    let (mut low, mut high) = (-3.0_f64, 5.0_f64);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        let shares = logits.f_mul_scalar(10.0_f64.powf(middle))?.f_softmax(1, None)?;
        let largest = shares.f_amax(1_i64, true)?.f_mul(weights)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        if largest < DECIDED { low = middle } else { high = middle }
    }
    Ok(10.0_f64.powf(low))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 200 users of two kinds and 40 items, of which users have half of those of their kind, and a few others.
    fn matrix() -> Tensor {
        let draw = noise::initial(1, 0, 200 * 40).unwrap().view([200, 40]);
        let user = Tensor::arange(200, (Kind::Int64, Device::Cpu)).remainder(2).unsqueeze(1);
        let item = Tensor::arange(40, (Kind::Int64, Device::Cpu)).remainder(2).unsqueeze(0);
        let same = user.f_eq_tensor(&item).unwrap().to_kind(Kind::Float);
        draw.f_lt_tensor(&(same * 1.5 - 1.5)).unwrap().to_kind(Kind::Float)
    }

    fn vectors(rank: usize, parts: i64) -> Tensor {
        let matrix = matrix();
        let product = |directions: &Tensor| -> Result<Tensor> {
            let of = |part: Tensor| part.transpose(0, 1).mm(&part.mm(directions));
            Ok(matrix.chunk(parts, 0).into_iter().map(of).reduce(|left, right| left + right).unwrap())
        };
        item_vectors(40, rank, 3, product).unwrap()
    }

    #[test]
    fn the_vectors_are_the_singular_ones_however_users_are_spread() {
        let (_, values, right) = matrix().svd(true, true);
        let expected = right.narrow(1, 0, 40) * values;
        // Signs and order are nobody's business: lengths and angles are.
        let products = |vectors: &Tensor| vectors.mm(&vectors.transpose(0, 1));
        for parts in [1, 3] {
            let difference = (products(&vectors(40, parts)) - products(&expected)).abs().max().double_value(&[]);
            assert!(difference < 1e-2, "{difference}");
        }
        assert_eq!(vectors(8, 1).size(), [40, 8]);
    }

    #[test]
    fn items_without_content_go_where_their_consumers_go() {
        let kind = Tensor::arange(40, (Kind::Int64, Device::Cpu)).remainder(2);
        let shares = kind.one_hot(2).to_kind(Kind::Float).transpose(0, 1);
        // Nothing is known of the last ten, and what is said of them is wrong.
        let known = Tensor::arange(40, (Kind::Float, Device::Cpu)).lt(30.0).to_kind(Kind::Float);
        let wrong = Tensor::where_self(&shares, &known.gt(0.5), &(Tensor::from(1.0_f32) - &shares));
        let logits = place(&vectors(16, 1), &wrong, &known, &[20; 40]).unwrap();
        let right = logits.argmax(0, false).eq_tensor(&kind).sum(Kind::Int64).int64_value(&[]);
        assert!(right >= 38, "{right} of 40");
        let largest = logits.softmax(0, None).amax(0_i64, false).narrow(0, 0, 30).mean(Kind::Double);
        assert!((largest.double_value(&[]) - DECIDED).abs() < 1e-3, "{largest:?}");
    }

    #[test]
    fn an_items_own_content_has_no_say_in_where_its_consumers_place_it() {
        let kind = Tensor::arange(40, (Kind::Int64, Device::Cpu)).remainder(2);
        let shares = kind.one_hot(2).to_kind(Kind::Float).transpose(0, 1).contiguous();
        let known = Tensor::ones([40], (Kind::Float, Device::Cpu));
        // One item's content says the opposite of its consumers.
        shares.narrow(1, 7, 1).copy_(&Tensor::from_slice(&[1.0_f32, 0.0]).view([2, 1]));
        let logits = place(&vectors(16, 1), &shares, &known, &[20; 40]).unwrap();
        assert_eq!(logits.argmax(0, false).int64_value(&[7]), 1);
    }

    #[test]
    fn ranks_fit_the_data_and_the_memory() {
        assert_eq!(rank_for(1_400, 750), 144);
        assert_eq!(rank_for(30, 750), 30);
        assert_eq!(rank_for(30, 7), 7);
        assert_eq!(rank_for(1 << 24, 1 << 30), 4);
    }
}
