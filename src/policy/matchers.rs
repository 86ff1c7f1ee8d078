//! Matchers: how a node of a policy matches the value of an entry, other than exactly.
//!
//! Each knows one notation, and an index that finds the node for a value at one level without
//! trying every matcher. None of them knows policies, domains or requests.

pub(crate) mod cidr;
pub(crate) mod path;
pub(crate) mod sha256;
pub(crate) mod wildcard;
