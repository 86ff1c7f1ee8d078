//! States as bytes, for stores outside of this process.
//!
//! A state is the number of its algorithm (1 byte), the length of its window in seconds (4; 0 for
//! leases) and its numbers (8 each), all little-endian. The states of a rule follow each other. A
//! lease table is the number of all slots held, when the latest lease was granted, the length of
//! what follows (4), and for each lease its id (16), its expiry (8) and its slots (4). A block is in front of the state that
//! it belongs to: its number (1), its level (4) and its end (8).
//!
//! What is stored may have been written by others, so each number is believed only within the range that weir writes:
//! times are below 2^53 microseconds, counts at most `MAX_COUNT`. The script in Redis has the same ranges.
//!
//! Stored counters depend on this format: to change it, change the version of the stores that hold it.

use bytes::{Buf, BufMut};
use smallvec::SmallVec;

use super::concurrency::LeaseTable;
use super::count::{Encode, take_time};
use super::fixed_window::FixedWindowState;
use super::penalty::Block;
use super::sliding_window::SlidingWindowState;
use super::state::{State, States};
use super::token_bucket::TokenBucketState;
use super::{LimitSet, Penalty};

/// The numbers that stand for the algorithms.
pub(crate) mod number {
    pub(crate) const FIXED_WINDOW: u8 = 1;
    pub(crate) const SLIDING_WINDOW: u8 = 2;
    pub(crate) const TOKEN_BUCKET: u8 = 3;
    pub(crate) const CONCURRENCY: u8 = 4;
    pub(crate) const CALENDAR: u8 = 5;
}

/// In front of another state: a block.
const BLOCK: u8 = 6;

/// The bytes are not encoded states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not encoded states")]
pub struct InvalidStates;

impl States {
    /// Appends the encoded states.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for state in self.as_slice() {
            if let Some(block) = state.block() {
                out.put_u8(BLOCK);
                out.put_u32_le(block.level);
                out.put_u64_le(block.until.micros());
            }
            match state.counted() {
                State::FixedWindow { window_secs, count } => {
                    put(out, number::FIXED_WINDOW, *window_secs, count);
                }
                State::Calendar { window_secs, count } => {
                    put(out, number::CALENDAR, *window_secs, count);
                }
                State::SlidingWindow {
                    window_secs,
                    segments,
                } => put(out, number::SLIDING_WINDOW, *window_secs, &**segments),
                State::TokenBucket { window_secs, debt } => {
                    put(out, number::TOKEN_BUCKET, *window_secs, debt);
                }
                State::Concurrency(leases) => put(out, number::CONCURRENCY, 0, &**leases),
                // A block is never within another.
                State::Penalized(_) => {}
            }
        }
    }

    /// Decodes one or more states.
    ///
    /// # Errors
    /// The bytes are not encoded states, or a number is out of its range.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, InvalidStates> {
        let mut states = SmallVec::<[State; 1]>::new();
        while bytes.has_remaining() {
            if states.len() == LimitSet::MAX {
                return Err(InvalidStates);
            }
            states.push(decode_state(&mut bytes).ok_or(InvalidStates)?);
        }
        match states.len() {
            0 => Err(InvalidStates),
            1 => Ok(Self::One(states.remove(0))),
            _ => Ok(Self::Many(states.into_vec().into())),
        }
    }
}

fn put(out: &mut Vec<u8>, number: u8, secs: u32, numbers: &impl Encode) {
    out.put_u8(number);
    out.put_u32_le(secs);
    numbers.encode(out);
}

fn decode_state(bytes: &mut &[u8]) -> Option<State> {
    let number = bytes.try_get_u8().ok()?;
    let secs_or_level = bytes.try_get_u32_le().ok()?;
    if number != BLOCK {
        return decode_counted(number, secs_or_level, bytes);
    }
    let block = Block {
        level: secs_or_level,
        until: take_time(bytes)?,
    };
    let number = bytes.try_get_u8().ok()?;
    let window_secs = bytes.try_get_u32_le().ok()?;
    if block.level as usize >= Penalty::MAX_LEVELS || number == number::CONCURRENCY {
        return None;
    }
    let mut state = decode_counted(number, window_secs, bytes)?;
    state.set_block(block);
    Some(state)
}

fn decode_counted(number: u8, window_secs: u32, bytes: &mut &[u8]) -> Option<State> {
    Some(match number {
        number::FIXED_WINDOW => State::FixedWindow {
            window_secs,
            count: FixedWindowState::decode(bytes)?,
        },
        number::CALENDAR => State::Calendar {
            window_secs,
            count: FixedWindowState::decode(bytes)?,
        },
        number::SLIDING_WINDOW => State::SlidingWindow {
            window_secs,
            segments: Box::new(SlidingWindowState::decode(bytes)?),
        },
        number::TOKEN_BUCKET => State::TokenBucket {
            window_secs,
            debt: TokenBucketState::decode(bytes)?,
        },
        number::CONCURRENCY => State::Concurrency(Box::new(LeaseTable::decode(bytes)?)),
        _ => return None,
    })
}
