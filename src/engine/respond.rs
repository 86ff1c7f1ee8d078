//! What the client is told: the policy's `response`, filled in with the reported limit.

use std::io::Write as _;
use std::sync::Arc;

use super::conclude::Reported;
use super::decision::{Code, Header};
use super::plan::Target;
use super::standard::EnforcedLimits;
use crate::clock::Timestamp;
use crate::limit::LimitKind;
use crate::policy::{Domain, HeaderTemplate, Operator, Value, Values};
use crate::request::Request;

/// The headers and the body of an answer that reports a limit.
pub(super) fn respond(facts: &TemplateContext<'_>, code: Code) -> (Vec<Header>, Option<String>) {
    let Some(response) = facts.told.target.response(facts.domain) else {
        return (Vec::new(), None);
    };
    match code {
        Code::Ok => (headers(response.on_pass(), facts), None),
        Code::OverLimit => {
            let body = response.over_limit.body.as_ref();
            (
                headers(response.on_refusal(), facts),
                body.map(|body| body.render(facts)),
            )
        }
    }
}

fn headers<'a>(
    templates: impl Iterator<Item = &'a HeaderTemplate>,
    facts: &TemplateContext<'_>,
) -> Vec<Header> {
    let filled_in = templates.filter_map(|template| {
        Some(Header {
            name: Arc::clone(&template.name),
            value: template.value.render(facts)?,
        })
    });
    filled_in.collect()
}

/// What the operators stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct TemplateContext<'a> {
    pub(super) request: &'a Request,
    pub(super) domain: &'a Domain,
    /// One per descriptor.
    pub(super) targets: &'a [Target<'a>],
    /// The one that is reported.
    pub(super) told: Reported<'a>,
    pub(super) now: Timestamp,
}

impl Values for TemplateContext<'_> {
    fn write(&self, operator: &Operator, out: &mut Vec<u8>) -> bool {
        let limit = self.told.limit;
        let outcome = self.told.outcome;
        let number = match operator {
            Operator::Limit => limit.quota().number().into(),
            Operator::Burst => match limit.kind {
                LimitKind::TokenBucket(bucket) => bucket.burst().into(),
                LimitKind::FixedWindow(_)
                | LimitKind::SlidingWindow(_)
                | LimitKind::Concurrency { .. } => return false,
            },
            Operator::Remaining => outcome.remaining.into(),
            Operator::ResetAt => self.now.plus(outcome.reset).secs_ceil(),
            Operator::ResetAfter => outcome.reset.secs_ceil(),
            Operator::RetryAfter => outcome.reset.secs_ceil().max(1),
            Operator::Window => match limit.window() {
                Some(window) => window.secs().into(),
                None => return false,
            },
            Operator::Name => return append(out, limit.name.as_deref()),
            Operator::Unit => {
                return append(out, limit.window().map(|window| window.unit().name()));
            }
            Operator::Domain => return append(out, Some(&*self.domain.name)),
            Operator::Metadata(key) => return append_value(out, self.metadata(key)),
            Operator::Entry(key) => return append(out, self.entry(key)),
            Operator::EnforcedLimits => return EnforcedLimits::of(self).write_all(out),
            Operator::ReportedLimit => return EnforcedLimits::of(self).write_reported(out),
        };
        write!(out, "{number}").is_ok()
    }
}

impl TemplateContext<'_> {
    /// What the reported rule says, else the first rule that says anything.
    fn metadata(&self, key: &str) -> Option<&Value> {
        let targets = std::iter::once(self.told.target).chain(self.targets);
        targets
            .filter_map(|target| target.metadata())
            .find_map(|metadata| metadata.get(key))
    }

    /// The value that the reported descriptor was sent with.
    fn entry(&self, key: &str) -> Option<&[u8]> {
        let entries = &self.request.descriptors.get(self.told.index)?.entries;
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

/// Appends what fits into a line of text.
fn append_value(out: &mut Vec<u8>, value: Option<&Value>) -> bool {
    match value {
        Some(Value::Text(text)) => append(out, Some(text)),
        Some(Value::Bool(is)) => append(out, Some(if *is { "true" } else { "false" })),
        Some(Value::Number(number)) => write!(out, "{number}").is_ok(),
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => false,
    }
}
