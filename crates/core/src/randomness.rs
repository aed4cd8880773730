//! Where random numbers come from.

/// A source of random numbers.
///
/// Everything that chooses at random (a queue-group member, a back-off, an inbox) takes one, so that a seeded source
/// replays the same run.
pub trait Randomness: Send {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`, every one equally likely (to within 2⁻⁶⁴ of the bound); zero if the bound is zero.
    fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift (Lemire, "Fast Random Integer Generation in an Interval", 2019), without the rejection step.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True with the given probability.
    fn chance(&mut self, probability: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

/// A generator whose whole future follows from its seed: SplitMix64 (Steele, Lea, Flood, 2014).
///
/// Fast and well spread, but predictable: never for secrets.
#[derive(Clone, Debug)]
pub struct Seeded {
    state: u64,
}

impl Seeded {
    /// The generator that starts from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }
}

impl Randomness for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // Reference values for seed 1234567, from the author's test vectors.
        let mut random = Seeded::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_every_value() {
        let mut random = Seeded::new(7);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[usize::try_from(random.below(5)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_chance_of_zero_never_happens_and_of_one_always() {
        let mut random = Seeded::new(9);
        assert!((0..1000).all(|_| !random.chance(0.0) && random.chance(1.0)));
    }
}
