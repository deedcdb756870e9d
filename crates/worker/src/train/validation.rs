//! Validation at the end of an epoch, shared among the ranks.

use std::collections::BTreeMap;

use tch::Tensor;
use teasel_c10d::{Operation, ProcessGroup};
use teasel_data::HeldOut;
use teasel_model::metrics::{Metric, mean};
use teasel_model::{Scorer, read_numbers};

use crate::error::TaskError;
use crate::evaluate::measure::measure;

/// Means of `metrics` over the validation users; the same on every rank, and bitwise the same for any number of ranks:
/// each user's value is computed by one rank, and the means are taken over all users in one order.
pub(super) fn validate(
    scorer: &mut Scorer,
    held_out: &HeldOut,
    metrics: &[Metric],
    group: &ProcessGroup,
) -> Result<BTreeMap<String, f64>, TaskError> {
    let users = held_out.keys.len();
    if users == 0 {
        return Ok(BTreeMap::new());
    }
    let (rank, world) = (group.rank() as usize, group.world() as usize);
    let own = rank * users / world..(rank + 1) * users / world;
    let values = measure(scorer, held_out, own.clone(), metrics)?;
    let mut all = vec![0f64; users * metrics.len()];
    for (index, values) in values.iter().enumerate() {
        all[index * users + own.start..index * users + own.end].copy_from_slice(values);
    }
    let shared = Tensor::f_from_slice(&all)?;
    group.all_reduce(&[&shared], Operation::Sum)?;
    let all: Vec<f64> = read_numbers(&shared)?;
    Ok(metrics.iter().zip(all.chunks(users)).map(|(metric, values)| (metric.to_string(), mean(values))).collect())
}
