//! Every key of the policy language, in one table: what a file is checked against, what "did you
//! mean" chooses from.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The file.
    Root,
    /// An element of `descriptors`.
    Descriptor,
    /// `rate_limit`, or an element of it.
    Limit,
    /// An element of `rate_limit` only.
    ListedLimit,
    /// An element of `replaces`.
    Replaces,
    /// `response`.
    Response,
    /// `response.over_limit`.
    OverLimit,
}

/// Whether a key does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It does.
    Supported,
    /// It is part of the language, and refused until it does.
    NotYet,
}

/// A key of the policy language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Where it stands.
    pub level: Level,
    /// Whether it does something.
    pub status: Status,
    /// What it says, in one sentence.
    pub doc: &'static str,
}

const fn key(level: Level, name: &'static str, doc: &'static str) -> Key {
    let status = Status::Supported;
    Key {
        name,
        level,
        status,
        doc,
    }
}

const fn not_yet(level: Level, name: &'static str, doc: &'static str) -> Key {
    let status = Status::NotYet;
    Key {
        name,
        level,
        status,
        doc,
    }
}

use Level::{Descriptor, Limit, ListedLimit, OverLimit, Replaces, Response, Root};

/// Every key, by level.
pub const KEYS: &[Key] = &[
    key(Root, "domain", "The name that requests ask for."),
    key(Root, "descriptors", "The first level of the tree."),
    key(
        Root,
        "response",
        "What clients are told, unless a descriptor says otherwise.",
    ),
    key(Root, "shadow_mode", "The domain never refuses."),
    key(
        Root,
        "quota_mode",
        "Every descriptor of the domain is a quota.",
    ),
    not_yet(
        Root,
        "atomic",
        "A refused request is charged to none of its descriptors.",
    ),
    not_yet(Root, "lease_entry", "The entry that gives a lease back."),
    key(Descriptor, "key", "The key of an entry, compared exactly."),
    key(
        Descriptor,
        "value",
        "The value it fits; `*` is zero or more characters.",
    ),
    key(
        Descriptor,
        "values",
        "Several values it fits, each exactly.",
    ),
    key(
        Descriptor,
        "pattern",
        "A path template it fits, such as `GET /sites/{site}`.",
    ),
    key(
        Descriptor,
        "value_sha256",
        "The SHA-256 of the value it fits, in hex.",
    ),
    key(Descriptor, "cidr", "The blocks of addresses it fits."),
    key(
        Descriptor,
        "count_by",
        "The captures of the pattern that have their own counters.",
    ),
    key(
        Descriptor,
        "rate_limit",
        "A limit, or a list of limits that must all agree.",
    ),
    key(
        Descriptor,
        "shadow_mode",
        "The rule counts and never refuses.",
    ),
    key(
        Descriptor,
        "quota_mode",
        "The rule refuses only when every quota of the request is over.",
    ),
    key(
        Descriptor,
        "detailed_metric",
        "Metrics are named by the values of the request.",
    ),
    key(
        Descriptor,
        "value_to_metric",
        "Metrics are named by the value at this level.",
    ),
    key(
        Descriptor,
        "share_threshold",
        "All values that fit the wildcard or the block share one counter.",
    ),
    key(
        Descriptor,
        "metadata",
        "Free-form data for whoever reads the answer.",
    ),
    key(Descriptor, "descriptors", "The next level of the tree."),
    key(
        Descriptor,
        "response",
        "What clients are told, here and below.",
    ),
    key(
        Descriptor,
        "secret",
        "Values of this key are never shown, anywhere in the domain.",
    ),
    not_yet(
        Descriptor,
        "on_store_error",
        "What to answer when hits cannot be counted.",
    ),
    key(
        Limit,
        "unit",
        "second, minute, hour, day, week, month or year.",
    ),
    key(
        Limit,
        "requests_per_unit",
        "Hits per window; 0 refuses all.",
    ),
    key(
        Limit,
        "unit_multiplier",
        "How many units make the window; 1 if left out.",
    ),
    key(Limit, "unlimited", "No limit at all."),
    key(Limit, "name", "Its name, reported and referred to."),
    key(
        Limit,
        "replaces",
        "The limits that it displaces in the same request.",
    ),
    key(
        Limit,
        "algorithm",
        "fixed_window, sliding_window or token_bucket.",
    ),
    key(
        Limit,
        "burst",
        "The size of the bucket; requests_per_unit if left out.",
    ),
    key(
        Limit,
        "charge",
        "Whether a refused hit costs: always or allowed.",
    ),
    not_yet(Limit, "max_in_flight", "How many at once."),
    not_yet(
        Limit,
        "lease_seconds",
        "After how long a slot is free again.",
    ),
    key(
        ListedLimit,
        "shadow_mode",
        "This limit counts and never refuses.",
    ),
    key(Replaces, "name", "The name of the limit that is displaced."),
    key(
        Response,
        "headers",
        "Headers on every answer that reports a limit.",
    ),
    key(Response, "over_limit", "What a refusal has besides."),
    key(
        Response,
        "standard",
        "The usual sets of headers: x-ratelimit, ratelimit, retry-after.",
    ),
    key(OverLimit, "headers", "Headers of a refusal."),
    key(OverLimit, "body", "The body of a refusal."),
    key(
        OverLimit,
        "standard",
        "The usual sets of headers, on refusals only.",
    ),
];

/// What envoyproxy/ratelimit accepts at any level.
const REFERENCE: [&str; 16] = [
    "domain",
    "descriptors",
    "key",
    "value",
    "rate_limit",
    "unit",
    "requests_per_unit",
    "unlimited",
    "name",
    "replaces",
    "shadow_mode",
    "quota_mode",
    "detailed_metric",
    "value_to_metric",
    "share_threshold",
    "metadata",
];

impl Level {
    /// The key of that name at this level.
    pub(crate) fn find(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The keys of this level.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| self.has(key.level))
    }

    fn has(self, level: Self) -> bool {
        level == self || (self == Self::ListedLimit && level == Self::Limit)
    }

    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "the root of the file",
            Self::Descriptor => "a descriptor",
            Self::Limit => "`rate_limit`",
            Self::ListedLimit => "a limit of a list",
            Self::Replaces => "`replaces`",
            Self::Response => "`response`",
            Self::OverLimit => "`over_limit`",
        }
    }
}

/// Whether envoyproxy/ratelimit knows the key at all.
pub(crate) fn is_of_reference(name: &str) -> bool {
    REFERENCE.contains(&name)
}

/// The levels at which a key of that name stands.
pub(crate) fn levels_of(name: &str) -> impl Iterator<Item = Level> {
    KEYS.iter()
        .filter(move |key| key.name == name)
        .map(|key| key.level)
}
