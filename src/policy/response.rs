//! Response templates: headers and bodies, ready to be rendered.

use std::sync::Arc;

use super::template::{BodyTemplate, HeaderValueTemplate};

/// A compiled `response` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseTemplate {
    /// The headers of every response that reports a limit, in the order of the policy.
    pub headers: Box<[HeaderTemplate]>,
    /// What a refusal adds, or what replaces it.
    pub over_limit: OverLimit,
}

/// The part of a `response` for requests over a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverLimit {
    /// They follow the general headers.
    pub headers: Box<[HeaderTemplate]>,
    /// The body; `None` leaves it to the proxy.
    pub body: Option<BodyTemplate>,
    /// The limits are soft: requests over them are let through.
    pub allow: bool,
    /// The headers for the upstream on requests that are let through over a limit.
    pub request_headers: Box<[HeaderTemplate]>,
}

/// A header whose value is rendered for each response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplate {
    /// As written in the policy; a valid HTTP token.
    pub name: Arc<str>,
    /// The template of the value.
    pub value: HeaderValueTemplate,
    /// A header of the same name in `over_limit` replaces it on refusals.
    pub replaced_on_refusal: bool,
}

impl ResponseTemplate {
    /// The headers of a response that allows the request.
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
