//! What weir answers, in its own words.

use std::sync::Arc;

use crate::policy::Metadata;
use crate::request::Unit;

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
    pub basis: Basis,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// No descriptor met a limit.
    Unmatched,
    /// All hits were counted.
    Counted,
    /// Some hits could not be counted where they should be; the rules' `on_store_error` said what to answer.
    Degraded,
    /// Some hits could not be counted, and a rule says not to answer then.
    Failed,
}

/// Go on, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Within every limit that is enforced.
    Ok,
    /// Over one.
    OverLimit,
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
    /// Hits per window.
    pub requests_per_unit: u32,
    /// The unit of its window.
    pub unit: Unit,
    /// How many units make the window.
    pub unit_multiplier: u32,
}

/// A header for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// As written in the policy.
    pub name: Arc<str>,
    /// Filled in, without control characters.
    pub value: String,
}
