//! The client of each call.

/// How clients are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// Always the same one.
    One,
    /// One of N, each with the same probability.
    Uniform(u64),
    /// One of N, the n-th with a probability proportional to 1/n.
    Zipf(u64),
    /// A new one for each call.
    Fresh,
}

/// A sequence of client numbers that the seed determines.
pub(crate) struct Keys {
    choice: Choice,
    random: u64,
    next: u64,
}

impl Keys {
    pub(crate) fn new(choice: Choice, seed: u64) -> Self {
        Self {
            choice,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            next: seed << 40,
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        match self.choice {
            Choice::One => 0,
            Choice::Uniform(keys) => self.random() % keys,
            // The inverse of the continuous distribution with density 1/x on [1, n+1) approximates Zipf's.
            Choice::Zipf(keys) => {
                let at = self.random() as f64 / u64::MAX as f64;
                (((keys + 1) as f64).powf(at) as u64).clamp(1, keys) - 1
            }
            Choice::Fresh => {
                self.next += 1;
                self.next
            }
        }
    }

    /// xorshift64* (Vigna, 2016).
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
