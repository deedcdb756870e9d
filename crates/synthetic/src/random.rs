//! A counter-based source of random numbers.

/// SplitMix64 (Steele, Lea and Flood, 2014), started from a hash of its counters.
pub(crate) struct Random(u64);

impl Random {
    /// The sequence that belongs to `counters`.
    pub(crate) fn new(counters: &[u64]) -> Self {
        let state = counters.iter().fold(0, |state, counter| scramble(state ^ scramble(*counter)));
        Random(state)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in (0, 1].
    pub(crate) fn unit_positive(&mut self) -> f64 {
        1.0 - self.unit()
    }

    /// Uniform in 0..bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

fn scramble(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
