//! Who has what, told to the placement of items by all ranks together.

use tch::{Kind, Tensor};
use teasel_c10d::{Operation, ProcessGroup};
use teasel_data::TrainingUsers;
use teasel_model::{ModelError, item_vectors, rank_for};

use crate::error::TaskError;

/// Numbers that are gathered at once: 64 MB.
const NUMBERS_AT_ONCE: usize = 1 << 24;

/// Vectors of the items by who has them, `[items, rank]`, over the users of all ranks: of the matrix with
/// `1 / sqrt(items of the user x (users of the item + 1))` where a user has an item.
pub(super) fn consumers(
    group: &ProcessGroup,
    users: &TrainingUsers,
    all_users: u64,
    counts: &[u64],
    seed: u64,
) -> Result<Tensor, TaskError> {
    let rank = rank_for(counts.len(), all_users);
    let of_items: Vec<f32> = counts.iter().map(|count| 1.0 / (*count as f32 + 1.0).sqrt()).collect();
    item_vectors(counts.len(), rank, seed, |directions: &Tensor| -> Result<Tensor, TaskError> {
        // All ranks go on from the same bits, whatever their processors make of them.
        group.broadcast(&[directions], 0)?;
        let product = product(users, &of_items, directions, rank).map_err(ModelError::from)?;
        group.all_reduce(&[&product], Operation::Sum)?;
        Ok(product)
    })
}

/// `Y' Y V` of this rank's users.
fn product(
    users: &TrainingUsers,
    of_items: &[f32],
    directions: &Tensor,
    rank: usize,
) -> Result<Tensor, tch::TchError> {
    let mut product = directions.f_zeros_like()?;
    let (mut items, mut weights, mut offsets) = (Vec::new(), Vec::new(), vec![0_i64]);
    for user in 0..users.users() {
        let own = users.interactions.row(user);
        let length = (own.len().max(1) as f32).sqrt();
        items.extend(own.iter().map(|item| i64::from(*item)));
        weights.extend(own.iter().map(|item| of_items[*item as usize] / length));
        offsets.push(items.len() as i64);
        if items.len() * rank >= NUMBERS_AT_ONCE || user + 1 == users.users() {
            let (indices, own) = (Tensor::f_from_slice(&items)?, Tensor::f_from_slice(&weights)?);
            let bounds = Tensor::f_from_slice(&offsets)?;
            let sums = Tensor::f_embedding_bag(directions, &indices, &bounds, false, 0, false, Some(&own), true)?.0;
            let lengths = bounds.f_diff(1, -1, None::<&Tensor>, None::<&Tensor>)?;
            let spread = sums.f_repeat_interleave_self_tensor(&lengths, 0, None)?.f_mul(&own.f_unsqueeze(1)?)?;
            product = product.f_index_add_(0, &indices, &spread)?;
            items.clear();
            weights.clear();
            offsets.truncate(1);
        }
    }
    debug_assert_eq!(product.kind(), Kind::Float);
    Ok(product)
}
