//! Windows: their length, and the start and end of the aligned window around a time.

use crate::clock::{Micros, Timestamp};
use crate::request::Unit;

/// The length of a window: a multiple of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    unit: Unit,
    multiplier: u32,
}

impl Window {
    /// Seconds of the longest window: ten years of 365 days.
    pub const MAX_SECS: u64 = 10 * Unit::Year.secs();

    /// A window of [`Window::MAX_SECS`].
    pub const LONGEST: Self = Self {
        unit: Unit::Year,
        multiplier: 10,
    };

    /// A window of `multiplier` units; `None` if that is 0 or more than [`Window::MAX_SECS`].
    pub const fn new(unit: Unit, multiplier: u32) -> Option<Self> {
        let secs = unit.secs().saturating_mul(multiplier as u64);
        if secs == 0 || secs > Self::MAX_SECS {
            return None;
        }
        Some(Self { unit, multiplier })
    }

    /// The unit it is written in.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Its length in units; at least 1.
    pub const fn multiplier(self) -> u32 {
        self.multiplier
    }

    /// Its length in seconds; 1 to [`Window::MAX_SECS`].
    pub const fn secs(self) -> u32 {
        (self.unit.secs() * self.multiplier as u64) as u32
    }

    /// Its length.
    pub const fn length(self) -> Micros {
        Micros::from_secs(self.secs() as u64)
    }

    /// The start and end of the window around `now`: multiples of its length since the Unix epoch.
    pub const fn around(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let length = self.length().get();
        let start = Timestamp::from_micros(now.micros() - now.micros() % length);
        (start, start.plus(Micros::new(length)))
    }
}
