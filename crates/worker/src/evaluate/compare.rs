//! Another run's model on the same test users.

use teasel_data::{Csr, HeldOut};

use crate::model_store::StoredModel;

/// Resamples of the paired bootstrap.
pub(super) const RESAMPLES: usize = 2000;
/// Its seed: the same comparison always gives the same interval.
pub(super) const SEED: u64 = 1;

/// The test users `test`, whose items have these `ids`, in the items of another run's model.
///
/// Items go by their ids: those that the other model doesn't know are missing from the history that it sees, and count
/// as missed where they are asked for.
pub(super) fn translated(other: &StoredModel, ids: &[String], test: &HeldOut) -> HeldOut {
    let unknown = other.manifest.items as u32;
    // What the other model knows by its content alone isn't compared.
    let mut known = other.catalogue.index();
    known.retain(|_, item| *item < unknown);
    let mut next = unknown;
    // Unknown held-out items get indices past the other model's: never recommended, still asked for.
    let mut target = |id: &String| {
        known.get(id.as_str()).copied().unwrap_or_else(|| {
            next += 1;
            next
        })
    };
    let targets: Vec<u32> = ids.iter().map(&mut target).collect();
    HeldOut {
        keys: test.keys.clone(),
        fold_in: translate(&test.fold_in, &targets, Some(unknown)),
        held_out: translate(&test.held_out, &targets, None),
    }
}

/// Rows with their items translated, ascending; those at or past `limit` left out.
fn translate(rows: &Csr, targets: &[u32], limit: Option<u32>) -> Csr {
    let mut translated = Csr::empty(rows.weights.is_some());
    for row in 0..rows.users() {
        let weights = rows.row_weights(row);
        let mut pairs: Vec<(u32, f32)> = rows
            .row(row)
            .iter()
            .enumerate()
            .map(|(index, item)| (targets[*item as usize], weights.map_or(1.0, |weights| weights[index])))
            .filter(|(item, _)| limit.is_none_or(|limit| *item < limit))
            .collect();
        pairs.sort_unstable_by_key(|(item, _)| *item);
        let (items, weights): (Vec<u32>, Vec<f32>) = pairs.into_iter().unzip();
        translated.push(&items, Some(&weights));
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_items_leave_the_history_but_not_the_question() {
        let rows = Csr { offsets: vec![0, 3, 3], items: vec![0, 1, 2], weights: None };
        // Item 0 is the other's 5, item 1 is unknown (past its 7 items), item 2 is its 3.
        let history = translate(&rows, &[5, 8, 3], Some(7));
        assert_eq!((history.offsets, history.items), (vec![0, 2, 2], vec![3, 5]));
        let question = translate(&rows, &[5, 8, 3], None);
        assert_eq!((question.offsets, question.items), (vec![0, 3, 3], vec![3, 5, 8]));
    }
}
