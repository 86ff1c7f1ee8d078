//! The identity of a counter: the parts that its key is a hash of.

use crate::limit::LimitSet;
use crate::policy::{CounterIdentity, Domain, IdentityPart};
use crate::request::Entry;
use crate::store::{KeyBuilder, KeyHasher};

/// Kinds of parts. Stored keys depend on them: never change the meaning of one.
mod kind {
    pub(super) const DOMAIN: u8 = 0;
    pub(super) const KEY: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const PATTERN: u8 = 3;
    pub(super) const CAPTURE: u8 = 4;
    pub(super) const SHARED: u8 = 5;
    pub(super) const OVERRIDE_WINDOW: u8 = 6;
}

/// The start of the identity of every counter of a domain.
pub(super) fn of_domain(domain: &Domain, hasher: &KeyHasher) -> KeyBuilder {
    let mut identity = KeyBuilder::new(hasher);
    identity.add(kind::DOMAIN, domain.name.as_bytes());
    identity
}

/// Adds the parts of an override: the entries and the window.
pub(super) fn add_override(identity: &mut KeyBuilder, entries: &[Entry], set: &LimitSet) {
    for entry in entries {
        identity.add(kind::KEY, &entry.key);
        identity.add(kind::VALUE, &entry.value);
    }
    for limit in &set.limits {
        if let Some(window) = limit.window() {
            identity.add(kind::OVERRIDE_WINDOW, &window.secs().to_le_bytes());
        }
    }
}

/// Adds the parts that the policy tree reports.
pub(super) struct Parts<'k>(pub(super) &'k mut KeyBuilder);

impl CounterIdentity for Parts<'_> {
    fn add(&mut self, part: IdentityPart<'_>) {
        let (kind, bytes) = match part {
            IdentityPart::Key(key) => (kind::KEY, key),
            IdentityPart::Value(value) | IdentityPart::Prefix { text: value, .. } => {
                (kind::VALUE, value)
            }
            IdentityPart::Pattern(pattern) => (kind::PATTERN, pattern),
            IdentityPart::Capture(capture) => (kind::CAPTURE, capture),
            IdentityPart::Shared(wildcard) => (kind::SHARED, wildcard),
        };
        self.0.add(kind, bytes);
    }
}
