//! Philox4x32-10, a counter-based random generator (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as
//! 1, 2, 3", 2011).
//!
//! A number is a pure function of a key and a counter, so noise can be drawn in any order, in any process, for any part
//! of a batch, and is the same.

/// Counters that are worked on side by side, so that the compiler can use vector instructions.
const LANES: usize = 8;
const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The four words of one counter.
pub(crate) fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds(counter.map(|word| [word]), key).map(|lane| lane[0])
}

/// What a stream of numbers is for. Streams of one seed are independent of each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Parameters = 1,
    Routing = 2,
    Dropout = 3,
    Latent = 4,
    Bootstrap = 5,
    Permutation = 6,
    Clusters = 7,
}

/// The numbers of one seed and purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    key: [u32; 2],
}

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let [first, second, ..] = philox4x32([purpose as u32, 0, 0, 0], [seed as u32, (seed >> 32) as u32]);
        Self { key: [first, second] }
    }

    /// Word `index` of the sequence that `place` names.
    pub(crate) fn word(&self, index: u32, place: [u32; 3]) -> u32 {
        let words = philox4x32([index / 4, place[0], place[1], place[2]], self.key);
        words[(index % 4) as usize]
    }

    /// Writes the sequence that `place` names from its word `first` on, which must be a multiple of 4.
    pub(crate) fn fill(&self, first: usize, place: [u32; 3], words: &mut [u32]) {
        debug_assert!(first.is_multiple_of(4));
        for (chunk, part) in words.chunks_mut(4 * LANES).enumerate() {
            let start = (first / 4 + chunk * LANES) as u32;
            let counters: [u32; LANES] = std::array::from_fn(|lane| start.wrapping_add(lane as u32));
            let block = rounds([counters, [place[0]; LANES], [place[1]; LANES], [place[2]; LANES]], self.key);
            for (position, word) in part.iter_mut().enumerate() {
                *word = block[position % 4][position / 4];
            }
        }
    }
}

/// A whole number below `end`, by Lemire's range reduction: its bias of 2^-32 times `end` is far below any noise here.
pub(crate) fn index_below(word: u32, end: usize) -> usize {
    ((u64::from(word) * end as u64) >> 32) as usize
}

/// A number strictly between 0 and 1 with 23 bits: exact in a 32-bit float, so never rounded to 0 or 1.
pub(crate) fn unit(word: u32) -> f32 {
    ((word >> 9) as f32 + 0.5) * (1.0 / (1 << 23) as f32)
}

#[inline(always)]
fn rounds<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..ROUNDS {
        let mut next = [[0_u32; N]; 4];
        for lane in 0..N {
            let left = u64::from(MULTIPLIERS[0]) * u64::from(counter[0][lane]);
            let right = u64::from(MULTIPLIERS[1]) * u64::from(counter[2][lane]);
            next[0][lane] = (right >> 32) as u32 ^ counter[1][lane] ^ key[0];
            next[1][lane] = right as u32;
            next[2][lane] = (left >> 32) as u32 ^ counter[3][lane] ^ key[1];
            next[3][lane] = left as u32;
        }
        counter = next;
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// From `kat_vectors` of the authors' Random123 distribution.
    #[rstest]
    #[case([0; 4], [0; 2], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])]
    #[case([u32::MAX; 4], [u32::MAX; 2], [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])]
    #[case(
        [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
        [0xA409_3822, 0x299F_31D0],
        [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
    )]
    fn the_authors_test_vectors_hold(#[case] counter: [u32; 4], #[case] key: [u32; 2], #[case] expected: [u32; 4]) {
        assert_eq!(philox4x32(counter, key), expected);
    }

    #[rstest]
    #[case(1)]
    #[case(31)]
    #[case(32)]
    #[case(77)]
    fn a_filled_sequence_has_the_same_words_as_single_draws(#[case] length: usize) {
        let stream = Stream::new(7, Purpose::Latent);
        let mut words = vec![0; length];
        stream.fill(8, [1, 2, 3], &mut words);
        let single: Vec<u32> = (0..length).map(|index| stream.word(8 + index as u32, [1, 2, 3])).collect();
        assert_eq!(words, single);
    }

    #[test]
    fn purposes_and_seeds_draw_different_numbers() {
        let drawn: std::collections::BTreeSet<u32> = [
            Stream::new(1, Purpose::Latent),
            Stream::new(1, Purpose::Dropout),
            Stream::new(2, Purpose::Latent),
            Stream::new(1 << 32, Purpose::Latent),
        ]
        .iter()
        .map(|stream| stream.word(0, [0; 3]))
        .collect();
        assert_eq!(drawn.len(), 4);
    }

    #[test]
    fn unit_numbers_stay_inside_the_open_interval() {
        assert!(unit(0) > 0.0);
        assert!(unit(u32::MAX) < 1.0);
    }
}
