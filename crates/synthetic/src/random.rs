//! Counter-based draws and permutations that need no memory.

/// SplitMix64's finaliser (Steele, Lea and Flood, 2014): every input bit moves half of the output's bits.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A stream of draws that is a function of its key alone.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    key: u64,
    counter: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, purpose: u64, index: u64) -> Draws {
        Draws { key: mix(mix(seed ^ mix(purpose)) ^ index), counter: 0 }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.counter += 1;
        mix(self.key ^ mix(self.counter))
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`; `bound` is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }
}

/// A pseudo-random permutation of `0..size`: a Feistel network over the next power of four, walked until the value
/// falls inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    size: u64,
    half_bits: u32,
    seed: u64,
}

impl Permutation {
    pub(crate) fn new(size: u64, seed: u64) -> Permutation {
        let bits = 64 - size.saturating_sub(1).leading_zeros();
        Permutation { size, half_bits: bits.div_ceil(2).max(1), seed }
    }

    pub(crate) fn apply(&self, index: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let mut value = index;
        loop {
            let (mut left, mut right) = (value >> self.half_bits, value & mask);
            for round in 0..4u64 {
                (left, right) = (right, left ^ (mix(self.seed ^ mix(right ^ (round << 60))) & mask));
            }
            value = (left << self.half_bits) | right;
            if value < self.size {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Permutation;

    #[test]
    fn a_permutation_reaches_every_value_once() {
        for size in [1, 2, 3, 5, 16, 17, 1000] {
            let permutation = Permutation::new(size, 3);
            let values: BTreeSet<u64> = (0..size).map(|index| permutation.apply(index)).collect();
            assert_eq!(values, (0..size).collect());
        }
    }
}
