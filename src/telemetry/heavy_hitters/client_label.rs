//! What one who asks is called.

use std::fmt::Write as _;

use crate::engine::Met;
use crate::request::Descriptor;

/// Bytes of a value that are shown, and about how many of all.
const LONGEST_VALUE: usize = 64;
const LONGEST: usize = 256;

/// The descriptor with its secrets hidden, and the rule that it met.
///
/// What stands for a hidden value tells two of them apart for as long as the process lives, and no more.
pub(in crate::telemetry) fn label(
    met: &Met<'_>,
    descriptor: &Descriptor,
    hash: u64,
) -> (Box<str>, Box<str>) {
    let mut who = String::new();
    for entry in &descriptor.entries {
        if !who.is_empty() {
            who.push_str(", ");
        }
        if who.len() > LONGEST {
            who.push('…');
            break;
        }
        let is_secret = met.domain.is_none_or(|domain| domain.is_secret(&entry.key));
        // Writing to a String never fails.
        let _ = match is_secret {
            true => write!(who, "{}=***{:04x}", shown(&entry.key), hash & 0xffff),
            false => write!(who, "{}={}", shown(&entry.key), shown(&entry.value)),
        };
    }
    let rule = match met.rule {
        Some(rule) => rule.name.to_string(),
        None => String::new(),
    };
    (who.into(), rule.into())
}

/// As text of a bounded length, without control characters.
fn shown(bytes: &[u8]) -> String {
    let (begin, more) = match bytes.get(..LONGEST_VALUE) {
        Some(begin) if bytes.len() > LONGEST_VALUE => (begin, "…"),
        _ => (bytes, ""),
    };
    let text = String::from_utf8_lossy(begin);
    let text = text.chars().map(|letter| match letter.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => letter,
    });
    text.collect::<String>() + more
}
