//! What the client is told, ready to be filled in.

use std::sync::Arc;

use super::template::{BodyTemplate, HeaderValueTemplate};

/// A `response` compiler, used whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseTemplate {
    /// On every answer that reports a limit, in the order of the policy.
    pub headers: Box<[HeaderTemplate]>,
    /// More, when the client is refused.
    pub over_limit: OverLimit,
}

/// The part of a `response` for refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverLimit {
    /// After the general headers.
    pub headers: Box<[HeaderTemplate]>,
    /// The body; none leaves it to the proxy.
    pub body: Option<BodyTemplate>,
}

/// A header whose value is filled in for each answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplate {
    /// As written in the policy; a valid HTTP token.
    pub name: Arc<str>,
    /// Its value.
    pub value: HeaderValueTemplate,
    /// On refusals another header of that name, in `over_limit`, replaces it.
    pub replaced_on_refusal: bool,
}

impl ResponseTemplate {
    /// The headers of an answer that lets the client pass.
    pub fn on_pass(&self) -> impl Iterator<Item = &HeaderTemplate> {
        self.headers.iter()
    }

    /// The headers of a refusal: the general ones that are not replaced, then those of `over_limit`.
    pub fn on_refusal(&self) -> impl Iterator<Item = &HeaderTemplate> {
        self.headers
            .iter()
            .filter(|header| !header.replaced_on_refusal)
            .chain(&self.over_limit.headers)
    }
}
