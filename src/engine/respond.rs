//! Headers and body of a response: the policy's templates, rendered for the reported limit.
//!
//! `%ENFORCED_LIMITS%` and `%REPORTED_LIMIT%` are the fields `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers (10 and later), lists of structured fields (RFC 9651):
//! `"per_minute";q=100;w=60, "per_day";q=10000;w=86400` and `"per_minute";r=50;t=30`.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

use std::io::Write as _;
use std::sync::Arc;

use smallvec::SmallVec;

use super::decision::{Code, Header};
use super::reported::Reported;
use super::target::Target;
use crate::clock::Timestamp;
use crate::limit::{Limit, LimitKind, Outcome, Window};
use crate::policy::{Domain, HeaderTemplate, Operator, Value, Values};
use crate::request::Request;

/// The headers and the body of an answer that reports a limit.
pub(super) fn respond(context: &TemplateContext<'_>, code: Code) -> (Vec<Header>, Option<String>) {
    let Some(response) = context.reported.target.response(context.domain) else {
        return (Vec::new(), None);
    };
    match code {
        Code::Ok => (headers(response.on_pass(), context), None),
        Code::OverLimit => {
            let body = response.over_limit.body.as_ref();
            (
                headers(response.on_refusal(), context),
                body.map(|body| body.render(context)),
            )
        }
    }
}

/// The headers for the upstream, one context for each descriptor that is over a soft limit. If several have a header of
/// the same name, the first is added.
pub(super) fn request_headers<'a>(over: impl Iterator<Item = TemplateContext<'a>>) -> Vec<Header> {
    let mut added: Vec<Header> = Vec::new();
    for context in over {
        let response = context.reported.target.response(context.domain);
        let templates = response.map_or(&[][..], |response| &*response.over_limit.request_headers);
        for header in headers(templates.iter(), &context) {
            let is_same = |other: &Header| other.name.eq_ignore_ascii_case(&header.name);
            if !added.iter().any(is_same) {
                added.push(header);
            }
        }
    }
    added
}

fn headers<'a>(
    templates: impl Iterator<Item = &'a HeaderTemplate>,
    context: &TemplateContext<'_>,
) -> Vec<Header> {
    let filled_in = templates.filter_map(|template| {
        Some(Header {
            name: Arc::clone(&template.name),
            value: template.value.render(context)?,
        })
    });
    filled_in.collect()
}

/// What template operators are replaced by.
#[derive(Clone, Copy, Debug)]
pub(super) struct TemplateContext<'a> {
    pub(super) request: &'a Request,
    pub(super) domain: &'a Domain,
    /// One per descriptor.
    pub(super) targets: &'a [Target<'a>],
    pub(super) reported: Reported<'a>,
    pub(super) now: Timestamp,
}

impl Values for TemplateContext<'_> {
    fn write(&self, operator: &Operator, out: &mut Vec<u8>) -> bool {
        let limit = self.reported.limit;
        let outcome = self.reported.outcome;
        let number = match operator {
            Operator::Limit => limit.quota().number().into(),
            Operator::Burst => match &limit.kind {
                LimitKind::TokenBucket(bucket) => bucket.burst().into(),
                LimitKind::FixedWindow(_)
                | LimitKind::Calendar(_)
                | LimitKind::SlidingWindow(_)
                | LimitKind::Concurrency { .. } => return false,
            },
            Operator::Remaining => self.reported.remaining().into(),
            Operator::Available => outcome.available.into(),
            Operator::ResetAt => self.now.plus(outcome.reset_after).secs_ceil(),
            Operator::ResetAfter => outcome.reset_after.secs_ceil(),
            Operator::RetryAfter if outcome.over_capacity => return false,
            Operator::RetryAfter => outcome.reset_after.secs_ceil().max(1),
            Operator::Window => match limit.window_secs_at(self.now) {
                Some(secs) => secs.into(),
                None => return false,
            },
            Operator::Name => return append(out, limit.name.as_deref()),
            Operator::Unit => {
                return append(out, limit.window().map(|window| window.unit().name()));
            }
            Operator::Domain => return append(out, Some(&*self.domain.name)),
            Operator::Metadata(key) => return append_value(out, self.metadata(key)),
            Operator::Entry(key) => return append(out, self.entry(key)),
            Operator::EnforcedLimits => return EnforcedLimits::new(self).write_all(out),
            Operator::ReportedLimit => return EnforcedLimits::new(self).write_reported(out),
        };
        write!(out, "{number}").is_ok()
    }
}

impl TemplateContext<'_> {
    /// The value in the metadata of the reported rule, else in the first metadata that has the key.
    fn metadata(&self, key: &str) -> Option<&Value> {
        let targets = std::iter::once(self.reported.target).chain(self.targets);
        targets
            .filter_map(|target| target.metadata())
            .find_map(|metadata| metadata.get(key))
    }

    /// The value of an entry of the reported descriptor.
    fn entry(&self, key: &str) -> Option<&[u8]> {
        let entries = &self.request.descriptors.get(self.reported.index)?.entries;
        let entry = entries.iter().find(|entry| entry.key == key.as_bytes())?;
        Some(&entry.value)
    }
}

fn append(out: &mut Vec<u8>, text: Option<impl AsRef<[u8]>>) -> bool {
    let Some(text) = text else {
        return false;
    };
    out.extend_from_slice(text.as_ref());
    true
}

/// Appends a scalar. Lists and maps have no text form.
fn append_value(out: &mut Vec<u8>, value: Option<&Value>) -> bool {
    match value {
        Some(Value::Text(text)) => append(out, Some(text)),
        Some(Value::Bool(is)) => append(out, Some(if *is { "true" } else { "false" })),
        Some(Value::Number(number)) => write!(out, "{number}").is_ok(),
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => false,
    }
}

/// The limits that are enforced in one request, with unique names.
#[derive(Debug)]
struct EnforcedLimits<'a> {
    limits: SmallVec<[NamedLimit<'a>; 4]>,
    /// The index of the reported one.
    reported: usize,
    outcome: Outcome,
    remaining: u32,
    now: Timestamp,
}

#[derive(Debug)]
struct NamedLimit<'a> {
    limit: &'a Limit,
    name: String,
}

/// A request of 256 descriptors may match thousands of limits, too many for a header.
const MAX_LISTED: usize = 32;

impl<'a> EnforcedLimits<'a> {
    /// In the order of the request, without duplicates.
    fn new(context: &TemplateContext<'a>) -> Self {
        let mut enforced = Self {
            limits: SmallVec::new(),
            reported: 0,
            outcome: *context.reported.outcome,
            remaining: context.reported.remaining(),
            now: context.now,
        };
        let limits = context.targets.iter().filter_map(Target::limits);
        for limit in limits.flat_map(super::target::MatchedLimits::enforced) {
            let is_reported = std::ptr::eq(limit, context.reported.limit);
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

    /// The name of the limit, else its window; with a number if that is used already.
    fn free_name(&self, limit: &Limit) -> String {
        let window = match (&limit.kind, limit.window()) {
            // Its seconds change.
            (LimitKind::Calendar(_), Some(window)) => window.to_string(),
            (_, Some(window)) => format!("{}s", window.secs()),
            (_, None) => "concurrency".to_owned(),
        };
        let name = escape(limit.name.as_deref().unwrap_or(&window));
        let is_used = |name: &str| self.limits.iter().any(|other| other.name == name);
        let mut free = name.clone();
        let mut number = 1;
        while is_used(&free) {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }

    /// Appends the value of `RateLimit-Policy`.
    fn write_all(&self, out: &mut Vec<u8>) -> bool {
        for (at, NamedLimit { limit, name }) in self.limits.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let quota = limit.quota().number();
            // Writing to a Vec is infallible.
            let _ = match limit.window_secs_at(self.now) {
                Some(secs) => write!(out, "{comma}\"{name}\";q={quota};w={secs}"),
                None => write!(
                    out,
                    "{comma}\"{name}\";q={quota};qu=\"concurrent-requests\""
                ),
            };
        }
        !self.limits.is_empty()
    }

    /// Appends the value of `RateLimit`.
    fn write_reported(&self, out: &mut Vec<u8>) -> bool {
        let Some(NamedLimit { name, .. }) = self.limits.get(self.reported) else {
            return false;
        };
        let (remaining, reset) = (self.remaining, self.outcome.reset_after.secs_ceil());
        write!(out, "\"{name}\";r={remaining};t={reset}").is_ok()
    }
}

/// Whether a client cannot distinguish them.
fn is_alike(one: &Limit, other: &Limit) -> bool {
    one.name == other.name
        && one.quota().number() == other.quota().number()
        && match (&one.kind, &other.kind) {
            (LimitKind::Calendar(one), LimitKind::Calendar(other)) => one == other,
            (LimitKind::Calendar(_), _) | (_, LimitKind::Calendar(_)) => false,
            _ => one.window().map(Window::secs) == other.window().map(Window::secs),
        }
}

/// The content of an RFC 9651 string: printable ASCII with `"` and `\` escaped.
fn escape(name: &str) -> String {
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
    use super::escape;

    #[test]
    fn a_name_is_made_a_structured_string() {
        assert_eq!(escape("per_minute"), "per_minute");
        assert_eq!(escape(r#"a "b" \c"#), r#"a \"b\" \\c"#);
        assert_eq!(escape("é\n~ "), "??~ ");
    }
}
