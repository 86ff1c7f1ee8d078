//! Which values of a descriptor may be shown.
//!
//! Every output that could show what a client sent asks a [`Redactor`]: explanations, heavy
//! hitters, the log of refused requests, replay reports and failed scenarios. A policy hides a key
//! with `secret: true`, for its whole domain. Where no policy has the domain, nothing says which
//! values may be shown, so all of them are hidden.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Domain;
use crate::request::Entry;

/// What is shown in place of a hidden value.
pub const HIDDEN: &str = "***";

/// The longest value that is shown in full, in bytes; longer ones are cut.
const MAX_VALUE_LEN: usize = 64;

/// Entries are described until the text has this many bytes.
const MAX_LEN: usize = 256;

/// Hides the values that must not be shown in one domain.
#[derive(Clone, Copy, Debug)]
pub struct Redactor<'p> {
    domain: Option<&'p Domain>,
}

impl<'p> Redactor<'p> {
    /// For descriptors of `domain`; `None` if no policy has the domain that was asked for.
    pub fn new(domain: Option<&'p Domain>) -> Self {
        Self { domain }
    }

    /// Whether values of `key` are hidden.
    pub fn hides(self, key: &[u8]) -> bool {
        self.domain.is_none_or(|domain| domain.is_secret(key))
    }

    /// The value of `entry` as text; `None` if it is hidden.
    pub fn value(self, entry: &Entry) -> Option<Cow<'_, str>> {
        (!self.hides(&entry.key)).then(|| String::from_utf8_lossy(&entry.value))
    }

    /// The entries on one line of bounded length, such as `plan=free, api_key=***5014`.
    ///
    /// `tag` distinguishes one hidden value from another. It has to come from a hash with a random
    /// key, so that it proves nothing about a guessed value.
    pub fn describe(self, entries: &[Entry], tag: impl Fn(&Entry) -> u16) -> String {
        let mut text = String::new();
        for entry in entries {
            if !text.is_empty() {
                text.push_str(", ");
            }
            if text.len() > MAX_LEN {
                text.push('…');
                break;
            }
            push_printable(&mut text, &entry.key);
            text.push('=');
            if self.hides(&entry.key) {
                // Writing to a String is infallible.
                let _ = write!(text, "{HIDDEN}{:04x}", tag(entry));
            } else {
                push_printable(&mut text, &entry.value);
            }
        }
        text
    }
}

/// Bytes as text of bounded length, without control characters.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    push_printable(&mut text, bytes);
    text
}

/// Appends bytes as text of bounded length, without control characters.
fn push_printable(text: &mut String, bytes: &[u8]) {
    let shown = bytes.get(..MAX_VALUE_LEN).unwrap_or(bytes);
    let printable = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.extend(String::from_utf8_lossy(shown).chars().map(printable));
    if shown.len() < bytes.len() {
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::{Policy, load_text};

    fn policy() -> Policy {
        let text = "
domain: d
descriptors:
  - key: plan
    descriptors: [{key: api_key, secret: true, rate_limit: {unit: day, requests_per_unit: 1}}]";
        load_text(Path::new("d.yaml"), text).policy.unwrap()
    }

    fn entry(key: &str, value: &str) -> Entry {
        Entry {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        }
    }

    #[test]
    fn secret_values_are_hidden() {
        let policy = policy();
        let redactor = Redactor::new(policy.domain(b"d"));
        let entries = [entry("plan", "free"), entry("api_key", "k1")];
        let values = entries.each_ref().map(|entry| redactor.value(entry));
        assert_eq!(values, [Some("free".into()), None]);
        let text = redactor.describe(&entries, |_| 0x5014);
        assert_eq!(text, "plan=free, api_key=***5014");
    }

    #[test]
    fn every_value_is_hidden_if_the_domain_is_unknown() {
        let policy = policy();
        let redactor = Redactor::new(policy.domain(b"other"));
        let entries = [entry("plan", "free"), entry("unknown", "k1")];
        assert!(entries.iter().all(|entry| redactor.value(entry).is_none()));
        assert_eq!(
            redactor.describe(&entries, |_| 1),
            "plan=***0001, unknown=***0001"
        );
    }

    #[test]
    fn descriptions_are_bounded_and_printable() {
        let policy = policy();
        let redactor = Redactor::new(policy.domain(b"d"));
        let long = entry("a\n", &"v".repeat(1_000));
        let text = redactor.describe(std::slice::from_ref(&long), |_| 0);
        assert_eq!(text, format!("a\u{fffd}={}…", "v".repeat(64)));
        let text = redactor.describe(&vec![long; 100], |_| 0);
        assert!(text.len() < 400 && text.ends_with(", …"), "{text}");
    }
}
