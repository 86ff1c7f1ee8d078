//! What weir answers, in its own words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::limit::Quota;
use crate::policy::Metadata;
use crate::request::LeaseId;
use crate::store::{Batch, CounterKey, Hit};

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether the client's request may go on.
    pub code: Code,
    /// One per descriptor of the request, in its order.
    pub statuses: Vec<Status>,
    /// Headers for the client, in the order of the policy.
    pub headers: Vec<Header>,
    /// The body for the client; only when the request is refused.
    pub body: Option<String>,
    /// What the matched rules say of themselves.
    pub metadata: Option<Arc<Metadata>>,
    /// What it rests on.
    pub counting_status: CountingStatus,
    /// The slots that the request holds until they are given back; only when it may go on.
    pub grant: Option<Box<Grant>>,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountingStatus {
    /// No descriptor met a limit.
    Unmatched,
    /// All hits were counted.
    Counted,
    /// Some hits could not be counted where they should be; the rules' `on_store_error` said what to answer.
    Degraded,
    /// Some hits could not be counted, and a rule says not to answer then.
    Failed,
}

impl CountingStatus {
    /// Of a decision all of whose hits are counted.
    pub(super) fn of(batch: &Batch<'_>) -> Self {
        match batch.hits.is_empty() {
            true => Self::Unmatched,
            false => Self::Counted,
        }
    }
}

/// Slots that were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What they are given back by.
    pub lease: LeaseId,
    /// The counters that hold them, each once for every time that it was met.
    pub(super) keys: SmallVec<[CounterKey; 2]>,
}

impl Grant {
    /// What the hits of a batch have taken; none if nothing.
    pub(super) fn new<'b>(taken: impl Iterator<Item = &'b Hit<'b>>) -> Option<Box<Self>> {
        let mut grant: Option<Box<Self>> = None;
        for hit in taken {
            let lease = hit.lease?;
            let grant = grant.get_or_insert_with(|| {
                Box::new(Self {
                    lease,
                    keys: SmallVec::new(),
                })
            });
            grant.keys.push(hit.key);
        }
        grant
    }
}

/// Go on, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// Within every limit that is enforced.
    Ok,
    /// Over one.
    OverLimit,
}

impl Code {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::OverLimit => "OVER_LIMIT",
        }
    }
}

/// How one descriptor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Of this descriptor alone; shadow mode makes it `Ok`.
    pub code: Code,
    /// The limit that is reported for it, if it met one that counts.
    pub limit: Option<CurrentLimit>,
    /// Hits that would pass now.
    pub remaining: u32,
    /// Seconds, rounded up, until there is room again.
    pub reset_after_secs: Option<u64>,
}

impl Status {
    /// The status of a descriptor that met no limit.
    pub const UNMATCHED: Self = Self {
        code: Code::Ok,
        limit: None,
        remaining: 0,
        reset_after_secs: None,
    };

    /// The status of a descriptor whose rule is `unlimited`.
    pub const UNLIMITED: Self = Self {
        code: Code::Ok,
        limit: None,
        remaining: u32::MAX,
        reset_after_secs: None,
    };
}

/// The limit that a status speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentLimit {
    /// Its name in the policy.
    pub name: Option<Arc<str>>,
    /// Hits per window, or slots.
    pub quota: Quota,
}

/// A header for the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// As written in the policy.
    pub name: Arc<str>,
    /// Filled in, without control characters.
    pub value: String,
}
