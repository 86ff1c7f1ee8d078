//! Every key of the policy language, in one table: what a file is checked against, what "did you
//! mean" chooses from, what the JSON Schema is made of, and what diagnostics may show.

mod table;

pub(crate) use table::KEYS;
pub(crate) use table::{ALGORITHMS, CHARGES, ON_STORE_ERROR, SETS};

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Level {
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

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// Text, or a scalar that is taken as the text it is written as.
    Text,
    /// The value of an entry, perhaps with a wildcard.
    Value,
    /// A list of such values.
    Values,
    /// The SHA-256 of a value, in hex.
    Hash,
    /// A path template.
    Pattern,
    /// A block of addresses, or a list of them.
    Blocks,
    /// A list of names that a pattern captures.
    Captures,
    /// True or false.
    Flag,
    /// A whole number from this one to 2³²−1.
    Number(u32),
    /// A unit of time.
    Unit,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A set of headers, or a list of them.
    Sets,
    /// A mapping of anything.
    Metadata,
    /// A mapping of names and templates.
    Headers,
    /// A list of descriptors.
    Descriptors,
    /// A limit, or a list of them.
    RateLimit,
    /// A list of names of limits.
    Replaces,
    /// A `response` block.
    Response,
    /// An `over_limit` block.
    OverLimit,
}

/// A key of the policy language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Where it stands.
    pub level: Level,
    /// What it holds.
    pub shape: Shape,
    /// What it says, in one sentence.
    pub doc: &'static str,
}

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

/// All keys that envoyproxy/ratelimit knows.
pub(crate) fn reference_keys() -> impl Iterator<Item = &'static str> {
    REFERENCE.into_iter()
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
