//! A counter as bytes, for a module that keeps the counters of this process elsewhere, such as on a disk.
//!
//! A record is when the states end (8 bytes, microseconds), until when the counter is pinned (4, seconds), when the
//! record was made (4, seconds), and the encoded states; all little-endian.

use bytes::{Buf, BufMut};

use crate::clock::Timestamp;
use crate::limit::{InvalidStates, States};

/// The version of records, of encoded states, and of the input of the key hash. A change of one of them changes it.
pub const RECORD_FORMAT: u32 = 1;

/// The bytes of most records: of a window or a bucket.
const USUAL_BYTES: usize = 48;

/// A counter without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterRecord {
    /// From when on it counts nothing.
    pub ends_at: Timestamp,
    /// Until when it is pinned, in seconds since the epoch; 0 if it is not.
    pub pinned_until_secs: u32,
    /// When the record was made, in seconds since the epoch.
    pub made_at_secs: u32,
    /// What it has counted.
    pub states: States,
}

impl CounterRecord {
    /// The bytes of a record that is made now.
    pub(super) fn encode_parts(
        ends_at: Timestamp,
        pinned_until_secs: u32,
        now: Timestamp,
        states: &States,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.put_u64_le(ends_at.micros());
        out.put_u32_le(pinned_until_secs);
        out.put_u32_le(u32::try_from(now.secs_ceil()).unwrap_or(u32::MAX));
        states.encode(&mut out);
        out
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// The bytes are not a record.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, InvalidStates> {
        Ok(Self {
            ends_at: Timestamp::from_micros(bytes.try_get_u64_le().map_err(|_| InvalidStates)?),
            pinned_until_secs: bytes.try_get_u32_le().map_err(|_| InvalidStates)?,
            made_at_secs: bytes.try_get_u32_le().map_err(|_| InvalidStates)?,
            states: States::decode(bytes)?,
        })
    }

    /// From when on an encoded record counts nothing; `None` if it is not a record.
    pub fn decode_end(mut bytes: &[u8]) -> Option<Timestamp> {
        bytes.try_get_u64_le().ok().map(Timestamp::from_micros)
    }
}

/// What has become of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordChange {
    /// It has this record.
    Put {
        /// The counter.
        key: [u8; 16],
        /// Its encoded record.
        record: Vec<u8>,
    },
    /// There is none, or none that is worth a record.
    Remove {
        /// The counter.
        key: [u8; 16],
    },
}
