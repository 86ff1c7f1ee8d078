//! States as bytes, for stores outside of this process.
//!
//! A state is the number of its algorithm (one byte), its window's length in seconds (four), and its numbers (eight each),
//! little-endian; the states of a rule follow each other. Slots are the number of all that are held, the latest
//! moment at which some were granted, the bytes that follow (four), and for each lease its id (sixteen), its end, and its slots (four). A stored counter depends on all
//! this: whoever changes it changes the version of the stores that hold it.

use bytes::{Buf, BufMut};
use smallvec::SmallVec;

use super::concurrency::Leases;
use super::fixed_window::WindowCount;
use super::sliding_window::Slots;
use super::state::{State, States};
use super::token_bucket::Debt;

/// The numbers of the algorithms.
pub(crate) mod number {
    pub(crate) const FIXED_WINDOW: u8 = 1;
    pub(crate) const SLIDING_WINDOW: u8 = 2;
    pub(crate) const TOKEN_BUCKET: u8 = 3;
    pub(crate) const CONCURRENCY: u8 = 4;
}

/// Bytes that are no states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStates;

/// What algorithms remember, as numbers.
pub(super) trait Encode: Sized {
    fn encode(&self, out: &mut Vec<u8>);

    /// None if there are too few bytes.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

impl States {
    /// Appends them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for state in self.as_slice() {
            match state {
                State::FixedWindow(secs, count) => {
                    put(out, (number::FIXED_WINDOW, *secs), count);
                }
                State::SlidingWindow(secs, slots) => {
                    put(out, (number::SLIDING_WINDOW, *secs), &**slots);
                }
                State::TokenBucket(secs, debt) => put(out, (number::TOKEN_BUCKET, *secs), debt),
                State::Concurrency(leases) => put(out, (number::CONCURRENCY, 0), &**leases),
            }
        }
    }

    /// The states that were encoded, at least one.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, NoStates> {
        let mut states = SmallVec::<[State; 1]>::new();
        while bytes.has_remaining() {
            states.push(take(&mut bytes).ok_or(NoStates)?);
        }
        match states.len() {
            0 => Err(NoStates),
            1 => Ok(Self::One(states.remove(0))),
            _ => Ok(Self::Many(states.into_vec().into())),
        }
    }
}

fn put(out: &mut Vec<u8>, (number, secs): (u8, u32), numbers: &impl Encode) {
    out.put_u8(number);
    out.put_u32_le(secs);
    numbers.encode(out);
}

fn take(bytes: &mut &[u8]) -> Option<State> {
    let number = bytes.try_get_u8().ok()?;
    let secs = bytes.try_get_u32_le().ok()?;
    Some(match number {
        number::FIXED_WINDOW => State::FixedWindow(secs, WindowCount::decode(bytes)?),
        number::SLIDING_WINDOW => State::SlidingWindow(secs, Box::new(Slots::decode(bytes)?)),
        number::TOKEN_BUCKET => State::TokenBucket(secs, Debt::decode(bytes)?),
        number::CONCURRENCY => State::Concurrency(Box::new(Leases::decode(bytes)?)),
        _ => return None,
    })
}
