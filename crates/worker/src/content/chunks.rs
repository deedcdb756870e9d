//! Who reads what: contents are read in chunks, each by one rank.

use std::collections::BTreeSet;

/// What is left of the chunks of `rank`, as hashes: of `contents` in order, those of its chunks that are among `left`.
///
/// A chunk is read and kept as one. Encoders' last bits depend on what is read together, so what comes of a disturbed
/// attempt and its successors has the bits of an undisturbed one; and the chunks of a rank are the same whatever others
/// have done.
pub(super) fn chunks_of<'a>(
    contents: impl Iterator<Item = &'a str>,
    left: &BTreeSet<String>,
    (rank, world): (u32, u32),
    length: usize,
) -> Vec<Vec<&'a str>> {
    let mut chunks: Vec<Vec<&str>> = Vec::new();
    for (place, content) in contents.enumerate() {
        let chunk = place / length;
        if (chunk as u64) % u64::from(world.max(1)) != u64::from(rank) {
            continue;
        }
        if place % length == 0 || chunks.is_empty() {
            chunks.push(Vec::new());
        }
        if let Some(newest) = chunks.last_mut()
            && left.contains(content)
        {
            newest.push(content);
        }
    }
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chunks_go_to_the_ranks_in_turn_and_leave_out_what_is_done() {
        let contents = ["a", "b", "c", "d", "e", "f", "g"];
        let of = |rank, done: &[&str]| {
            let left = contents.iter().filter(|content| !done.contains(content));
            let left = left.map(|content| (*content).to_owned()).collect();
            chunks_of(contents.into_iter(), &left, (rank, 2), 2)
        };
        assert_eq!(of(0, &[]), [vec!["a", "b"], vec!["e", "f"]]);
        assert_eq!(of(1, &[]), [vec!["c", "d"], vec!["g"]]);
        assert_eq!(of(0, &["a", "b", "f", "c"]), [vec!["e"]]);
        assert!(of(1, &contents).is_empty());
    }

    proptest! {
        #[test]
        fn ranks_share_all_that_is_left_and_read_nothing_twice(
            count in 0_usize..60,
            done in proptest::collection::vec(0_usize..60, 0..40),
            world in 1_u32..5,
            length in 1_usize..9,
        ) {
            let contents: Vec<String> = (0..count).map(|content| format!("{content:03}")).collect();
            let done: Vec<String> = done.into_iter().map(|content| format!("{content:03}")).collect();
            let left: BTreeSet<String> = contents.iter().filter(|content| !done.contains(content)).cloned().collect();
            let own = |rank| chunks_of(contents.iter().map(String::as_str), &left, (rank, world), length);
            let mut read: Vec<&str> = (0..world).flat_map(|rank| own(rank).concat()).collect();
            read.sort_unstable();
            prop_assert_eq!(read, left.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
