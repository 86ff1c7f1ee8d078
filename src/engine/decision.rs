//! The answer to a request, independent of the protocol.

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
    /// Whether the client's request is allowed.
    pub code: Code,
    /// One per descriptor of the request, in its order.
    pub statuses: Vec<Status>,
    /// Headers for the client, in the order of the policy.
    pub headers: Vec<Header>,
    /// Headers for the upstream: the request is over a soft limit.
    pub request_headers: Vec<Header>,
    /// The body for the client; `None` unless the request is refused.
    pub body: Option<String>,
    /// The merged metadata of the matched nodes.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether all hits were counted.
    pub counting_status: CountingStatus,
    /// The slots that the request holds until they are released; `None` if it is refused.
    pub grant: Option<Box<Grant>>,
    /// Whether a descriptor exempts the request, so that it is charged to no limit.
    pub is_exempt: bool,
}

/// Whether the hits of a request were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountingStatus {
    /// No descriptor matched a limit.
    Unmatched,
    /// All hits were counted.
    Counted,
    /// The store could not count some hits, so the rules' `on_store_error` applied.
    Degraded,
    /// The store could not count some hits, and a rule has `on_store_error: error`.
    Failed,
}

impl CountingStatus {
    /// The status of a decision whose hits were all counted.
    pub(super) fn of(batch: &Batch<'_>) -> Self {
        match batch.hits.is_empty() {
            true => Self::Unmatched,
            false => Self::Counted,
        }
    }
}

/// Slots that were granted to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease that releases them.
    pub lease: LeaseId,
    /// The counters that hold them, once for each grant.
    pub(super) keys: SmallVec<[CounterKey; 2]>,
}

impl Grant {
    /// The grant of these hits; `None` if there are none.
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

/// Whether a request or a descriptor is within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// Within every enforced limit.
    Ok,
    /// Over an enforced limit.
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

/// The status of one descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Of this descriptor alone; `Ok` in shadow mode and over a soft limit.
    pub code: Code,
    /// The limit that is reported for it; `None` if it matched none that counts.
    pub limit: Option<CurrentLimit>,
    /// Hits that would be admitted now.
    ///
    /// At most the number of the limit: what a token bucket admits beyond it is only `available`.
    pub remaining: u32,
    /// Hits that would be admitted now, those of a token bucket's burst included.
    pub available: u32,
    /// Whether the hits are more than the limit ever admits at once, so that no wait helps.
    pub over_capacity: bool,
    /// Seconds, rounded up, until there is room again.
    pub reset_after_secs: Option<u64>,
}

impl Status {
    /// The status of a descriptor that matched no limit.
    pub const UNMATCHED: Self = Self {
        code: Code::Ok,
        limit: None,
        remaining: 0,
        available: 0,
        over_capacity: false,
        reset_after_secs: None,
    };

    /// The status of a descriptor whose rule is `unlimited`, and of all in a request that is exempt.
    pub const UNLIMITED: Self = Self {
        code: Code::Ok,
        limit: None,
        remaining: u32::MAX,
        available: u32::MAX,
        over_capacity: false,
        reset_after_secs: None,
    };
}

/// The limit that a status reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentLimit {
    /// Its name in the policy.
    pub name: Option<Arc<str>>,
    /// Hits per window, or slots.
    pub quota: Quota,
}

/// A header for the client or for the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Header {
    /// As written in the policy.
    pub name: Arc<str>,
    /// Rendered, without control characters.
    pub value: String,
}
