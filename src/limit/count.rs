//! The contracts between the algorithms and the modules that dispatch over them.

use bytes::Buf as _;

use super::MAX_COUNT;
use crate::clock::{Micros, Timestamp};

/// What every algorithm does with its state. `P` are the numbers of a limit that it counts by. `now` may stand still or go
/// back.
pub(super) trait Count<P> {
    /// The hits that are admitted at once while nothing is counted.
    fn capacity(params: &P) -> u64;

    /// Makes a state that is ahead of `now` by more than its window one of `now`, with its count.
    ///
    /// Such a state was written by a clock that was ahead and has been corrected. A state that is ahead by less may come
    /// from a clock that merely differs, and keeps its time.
    fn correct(&mut self, params: &P, now: Timestamp);

    /// Whether this many more hits would be within the limit.
    fn admits(&self, params: &P, now: Timestamp, hits: u64) -> bool;

    /// Counts hits, within the limit or not.
    fn add(&mut self, params: &P, now: Timestamp, hits: u64);

    /// Gives hits back, at most those counted.
    fn refund(&mut self, params: &P, now: Timestamp, hits: u64);

    /// Hits that would be admitted now.
    fn available(&self, params: &P, now: Timestamp) -> u64;

    /// The time until this many hits are admitted; hits above the capacity count as all of it.
    fn until_admitted(&self, params: &P, now: Timestamp, hits: u64) -> Micros;

    /// The time until nothing is counted any more.
    fn until_clear(&self, params: &P, now: Timestamp) -> Micros;
}

/// A state as bytes.
pub(super) trait Encode: Sized {
    fn encode(&self, out: &mut Vec<u8>);

    /// `None` if there are too few bytes.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

/// The latest time that is believed: the script in Redis has whole numbers up to here.
pub(super) const MAX_TIME: Timestamp = Timestamp::from_micros((1 << 53) - 1);

/// Takes a number that is at most `max`.
pub(super) fn take_number(bytes: &mut &[u8], max: u64) -> Option<u64> {
    let number = bytes.try_get_u64_le().ok()?;
    Some(number).filter(|number| *number <= max)
}

/// Takes a count of hits, or of what stands for them.
pub(super) fn take_count(bytes: &mut &[u8]) -> Option<u64> {
    take_number(bytes, MAX_COUNT)
}

/// Takes a time.
pub(super) fn take_time(bytes: &mut &[u8]) -> Option<Timestamp> {
    take_number(bytes, MAX_TIME.micros()).map(Timestamp::from_micros)
}

/// What one limit counted delta from a remote state: `local` minus `remote`.
#[derive(Debug)]
pub(super) struct StateDelta<'a, T> {
    /// The remote state, as last reported.
    pub(super) remote: &'a T,
    /// The same with what was counted locally since.
    pub(super) local: &'a T,
    /// Whether the remote may have lost its state, so that it must be raised to `remote` first.
    pub(super) at_least: bool,
}

impl<T> StateDelta<'_, T> {
    /// The amount of `current` with the delta added; `amount` measures a state.
    pub(super) fn merged(&self, current: &T, amount: impl Fn(&T) -> u64) -> u64 {
        let remote = amount(self.remote);
        let current = match self.at_least {
            true => amount(current).max(remote),
            false => amount(current),
        };
        (current + amount(self.local)).saturating_sub(remote)
    }
}
