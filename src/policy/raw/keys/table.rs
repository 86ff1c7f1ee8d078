//! The table of all keys.

use super::Level::{self, Descriptor, Limit, ListedLimit, OverLimit, Replaces, Response, Root};
use super::{Key, Shape};

/// How a limit can count; the first if nothing is said.
pub(crate) const ALGORITHMS: &[&str] = &[
    "fixed_window",
    "sliding_window",
    "token_bucket",
    "concurrency",
];

/// Whether a refused hit costs.
pub(crate) const CHARGES: &[&str] = &["always", "allowed"];

/// What to answer when hits cannot be counted; the first if nothing is said.
pub(crate) const ON_STORE_ERROR: &[&str] = &["local", "allow", "deny", "error"];

/// The sets of headers that `standard` takes.
pub(crate) const SETS: &[&str] = &["x-ratelimit", "ratelimit", "retry-after"];

const fn key(level: Level, name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        level,
        shape,
        doc,
    }
}

/// Every key, by level.
pub(crate) const KEYS: &[Key] = &[
    key(
        Root,
        "domain",
        Shape::Text,
        "The name that requests ask for.",
    ),
    key(
        Root,
        "descriptors",
        Shape::Descriptors,
        "The first level of the tree.",
    ),
    key(
        Root,
        "response",
        Shape::Response,
        "What clients are told, unless a descriptor says otherwise.",
    ),
    key(
        Root,
        "shadow_mode",
        Shape::Flag,
        "The domain never refuses.",
    ),
    key(
        Root,
        "quota_mode",
        Shape::Flag,
        "Every descriptor of the domain is a quota.",
    ),
    key(
        Root,
        "on_store_error",
        Shape::Word(ON_STORE_ERROR),
        "What to answer when hits cannot be counted, unless a descriptor says otherwise: local, allow, deny or error.",
    ),
    key(
        Root,
        "atomic",
        Shape::Flag,
        "A refused request is charged to none of its descriptors.",
    ),
    key(
        Root,
        "lease_entry",
        Shape::Text,
        "The key of the entry that names the lease to be given back; lease if left out.",
    ),
    key(
        Descriptor,
        "key",
        Shape::Text,
        "The key of an entry, compared exactly.",
    ),
    key(
        Descriptor,
        "value",
        Shape::Value,
        "The value it fits; `*` is zero or more characters.",
    ),
    key(
        Descriptor,
        "values",
        Shape::Values,
        "Several values it fits, each exactly.",
    ),
    key(
        Descriptor,
        "pattern",
        Shape::Pattern,
        "A path template it fits, such as `GET /sites/{site}`.",
    ),
    key(
        Descriptor,
        "value_sha256",
        Shape::Hash,
        "The SHA-256 of the value it fits, in hex.",
    ),
    key(
        Descriptor,
        "cidr",
        Shape::Blocks,
        "The blocks of addresses it fits.",
    ),
    key(
        Descriptor,
        "count_by",
        Shape::Captures,
        "The captures of the pattern that have their own counters.",
    ),
    key(
        Descriptor,
        "rate_limit",
        Shape::RateLimit,
        "A limit, or a list of limits that must all agree.",
    ),
    key(
        Descriptor,
        "shadow_mode",
        Shape::Flag,
        "The rule counts and never refuses.",
    ),
    key(
        Descriptor,
        "quota_mode",
        Shape::Flag,
        "The rule refuses only when every quota of the request is over.",
    ),
    key(
        Descriptor,
        "detailed_metric",
        Shape::Flag,
        "Metrics are named by the values of the request.",
    ),
    key(
        Descriptor,
        "value_to_metric",
        Shape::Flag,
        "Metrics are named by the value at this level.",
    ),
    key(
        Descriptor,
        "share_threshold",
        Shape::Flag,
        "All values that fit the wildcard or the block share one counter.",
    ),
    key(
        Descriptor,
        "metadata",
        Shape::Metadata,
        "Free-form data for whoever reads the answer.",
    ),
    key(
        Descriptor,
        "descriptors",
        Shape::Descriptors,
        "The next level of the tree.",
    ),
    key(
        Descriptor,
        "response",
        Shape::Response,
        "What clients are told, here and below.",
    ),
    key(
        Descriptor,
        "secret",
        Shape::Flag,
        "Values of this key are never shown, anywhere in the domain.",
    ),
    key(
        Descriptor,
        "on_store_error",
        Shape::Word(ON_STORE_ERROR),
        "What to answer when hits cannot be counted, here and below: local, allow, deny or error.",
    ),
    key(
        Limit,
        "unit",
        Shape::Unit,
        "second, minute, hour, day, week, month or year.",
    ),
    key(
        Limit,
        "requests_per_unit",
        Shape::Number(0),
        "Hits per window; 0 refuses all.",
    ),
    key(
        Limit,
        "unit_multiplier",
        Shape::Number(1),
        "How many units make the window; 1 if left out.",
    ),
    key(Limit, "unlimited", Shape::Flag, "No limit at all."),
    key(
        Limit,
        "name",
        Shape::Text,
        "Its name, reported and referred to.",
    ),
    key(
        Limit,
        "replaces",
        Shape::Replaces,
        "The limits that it displaces in the same request.",
    ),
    key(
        Limit,
        "algorithm",
        Shape::Word(ALGORITHMS),
        "fixed_window, sliding_window, token_bucket or concurrency.",
    ),
    key(
        Limit,
        "burst",
        Shape::Number(1),
        "The size of the bucket; requests_per_unit if left out.",
    ),
    key(
        Limit,
        "charge",
        Shape::Word(CHARGES),
        "Whether a refused hit costs: always or allowed.",
    ),
    key(
        Limit,
        "max_in_flight",
        Shape::Number(0),
        "How many at once, with algorithm: concurrency; 0 refuses all.",
    ),
    key(
        Limit,
        "lease_seconds",
        Shape::Number(1),
        "After how long a slot that nobody gave back is free again.",
    ),
    key(
        ListedLimit,
        "shadow_mode",
        Shape::Flag,
        "This limit counts and never refuses.",
    ),
    key(
        Replaces,
        "name",
        Shape::Text,
        "The name of the limit that is displaced.",
    ),
    key(
        Response,
        "headers",
        Shape::Headers,
        "Headers on every answer that reports a limit.",
    ),
    key(
        Response,
        "over_limit",
        Shape::OverLimit,
        "What a refusal has besides.",
    ),
    key(
        Response,
        "standard",
        Shape::Sets,
        "The usual sets of headers: x-ratelimit, ratelimit, retry-after.",
    ),
    key(
        OverLimit,
        "headers",
        Shape::Headers,
        "Headers of a refusal.",
    ),
    key(OverLimit, "body", Shape::Text, "The body of a refusal."),
    key(
        OverLimit,
        "standard",
        Shape::Sets,
        "The usual sets of headers, on refusals only.",
    ),
];
