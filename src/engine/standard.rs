//! The fields of draft-ietf-httpapi-ratelimit-headers (10 and later): lists of structured fields
//! (RFC 9651).
//!
//! `RateLimit-Policy: "per_minute";q=100;w=60, "per_day";q=10000;w=86400` is all that is enforced,
//! `RateLimit: "per_minute";r=50;t=30` where the client stands.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

use std::io::Write as _;

use smallvec::SmallVec;

use super::plan::Target;
use super::respond::TemplateContext;
use crate::limit::{Limit, Outcome, Window};

/// The limits that are enforced in one request, each by a name of its own.
#[derive(Debug)]
pub(super) struct EnforcedLimits<'a> {
    limits: SmallVec<[NamedLimit<'a>; 4]>,
    /// The place of the reported one.
    reported: usize,
    outcome: Outcome,
}

#[derive(Debug)]
struct NamedLimit<'a> {
    limit: &'a Limit,
    name: String,
}

/// A request of 256 descriptors may meet thousands of limits; no proxy takes a header of them.
const MAX_LISTED: usize = 32;

impl<'a> EnforcedLimits<'a> {
    /// In the order of the request; equal ones are one.
    pub(super) fn of(facts: &TemplateContext<'a>) -> Self {
        let mut enforced = Self {
            limits: SmallVec::new(),
            reported: 0,
            outcome: *facts.told.outcome,
        };
        let counted = facts.targets.iter().filter_map(Target::counted);
        for limit in counted.flat_map(|counted| counted.enforced()) {
            let is_reported = std::ptr::eq(limit, facts.told.limit);
            enforced.add(limit, is_reported);
        }
        enforced
    }

    fn add(&mut self, limit: &'a Limit, is_reported: bool) {
        let mut limits = self.limits.iter();
        if let Some(at) = limits.position(|other| is_alike(other.limit, limit)) {
            if is_reported {
                self.reported = at;
            }
            return;
        }
        if self.limits.len() >= MAX_LISTED && !is_reported {
            return;
        }
        if is_reported {
            self.reported = self.limits.len();
        }
        let name = self.free_name(limit);
        self.limits.push(NamedLimit { limit, name });
    }

    /// The name of the limit, or its window; with a number where that is taken.
    fn free_name(&self, limit: &Limit) -> String {
        let window = match limit.window() {
            Some(window) => format!("{}s", window.secs()),
            None => "concurrency".to_owned(),
        };
        let name = text(limit.name.as_deref().unwrap_or(&window));
        let is_taken = |name: &str| self.limits.iter().any(|other| other.name == name);
        let mut free = name.clone();
        let mut number = 1;
        while is_taken(&free) {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }

    /// Appends the value of `RateLimit-Policy`.
    pub(super) fn write_all(&self, out: &mut Vec<u8>) -> bool {
        for (at, NamedLimit { limit, name }) in self.limits.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let quota = limit.quota().number();
            // Writing to memory does not fail.
            let _ = match limit.window() {
                Some(window) => {
                    write!(out, "{comma}\"{name}\";q={quota};w={}", window.secs())
                }
                None => write!(
                    out,
                    "{comma}\"{name}\";q={quota};qu=\"concurrent-requests\""
                ),
            };
        }
        !self.limits.is_empty()
    }

    /// Appends the value of `RateLimit`.
    pub(super) fn write_reported(&self, out: &mut Vec<u8>) -> bool {
        let Some(NamedLimit { name, .. }) = self.limits.get(self.reported) else {
            return false;
        };
        let (remaining, reset) = (self.outcome.remaining, self.outcome.reset.secs_ceil());
        write!(out, "\"{name}\";r={remaining};t={reset}").is_ok()
    }
}

/// Whether a client could not tell them apart.
fn is_alike(one: &Limit, other: &Limit) -> bool {
    one.name == other.name
        && one.quota().number() == other.quota().number()
        && one.window().map(Window::secs) == other.window().map(Window::secs)
}

/// The inside of an RFC 9651 string: ASCII that can be seen, with `"` and `\` escaped.
fn text(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => text.push('?'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_name_is_made_a_structured_string() {
        assert_eq!(text("per_minute"), "per_minute");
        assert_eq!(text(r#"a "b" \c"#), r#"a \"b\" \\c"#);
        assert_eq!(text("é\n~ "), "??~ ");
    }
}
