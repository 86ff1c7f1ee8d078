//! Why a line of a log cannot be used. An error never contains a value of the line.

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line is longer than a mebibyte.
    #[error("longer than a mebibyte")]
    TooLong,
    /// The line is not JSON.
    #[error("not JSON, column {column}")]
    NotJson {
        /// The column of the error, from 1.
        column: usize,
    },
    /// The line is another JSON value than an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// The line begins as Envoy's text format does, but its parts are others.
    #[error("not the default text format of Envoy or Istio")]
    NotEnvoyText,
    /// A field is missing.
    #[error("no field `{0}`")]
    Missing(String),
    /// The field has no time in a known format.
    #[error("`{0}` is neither RFC 3339 nor seconds or milliseconds since 1970")]
    Time(String),
    /// `domain` is not a text.
    #[error("`domain` is not a text")]
    Domain,
    /// The field of the hits is not a number.
    #[error("`{0}` is not a whole number")]
    Hits(&'static str),
    /// `is_negative_hits` is not a truth value.
    #[error("`is_negative_hits` is neither true nor false")]
    IsNegativeHits,
    /// `limit` is not a limit.
    #[error("the `limit` of a descriptor needs `requests_per_unit` and the name of a `unit`")]
    Limit,
    /// `descriptors` is not a list.
    #[error("`descriptors` is not a list")]
    Descriptors,
    /// `descriptors` is an empty list.
    #[error("`descriptors` is empty")]
    NoDescriptors,
    /// A descriptor has another type.
    #[error("a descriptor is neither a list nor an object")]
    Descriptor,
    /// An entry has another type.
    #[error("an entry is not an object")]
    Entry,
    /// The key of an entry is absent or has another type.
    #[error("the key of an entry is not a text")]
    EntryKey,
    /// The value of an entry is absent or has another type.
    #[error("the value of an entry is not a text")]
    EntryValue,
}
