//! `standard`: well-known sets of headers, as templates.

use crate::policy::raw::SETS;
use crate::policy::response::HeaderTemplate;
use crate::policy::template::{HeaderValueTemplate, Operator, TemplatePiece};

/// A set of headers that clients know, in the order of their names in [`SETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandardHeaders {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, as in Envoy.
    XRateLimit,
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
    RateLimit,
    /// `Retry-After` (RFC 9110), on refusals.
    RetryAfter,
}

impl StandardHeaders {
    pub(super) const ALL: [Self; 3] = [Self::XRateLimit, Self::RateLimit, Self::RetryAfter];

    pub(super) fn name(self) -> &'static str {
        SETS[self as usize]
    }

    /// The set of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|set| set.name() == name)
    }

    /// Whether the set has a header of that name.
    pub(super) fn contains(self, name: &str) -> bool {
        let mut fields = self.fields().iter();
        fields.any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The headers of every response.
    pub(super) fn headers(self) -> impl Iterator<Item = HeaderTemplate> {
        let has = self != Self::RetryAfter;
        self.all_headers().filter(move |_| has)
    }

    /// The additional headers of a refusal.
    pub(super) fn headers_on_refusal(self) -> impl Iterator<Item = HeaderTemplate> {
        let has = self == Self::RetryAfter;
        self.all_headers().filter(move |_| has)
    }

    /// All headers of a refusal.
    pub(super) fn all_headers(self) -> impl Iterator<Item = HeaderTemplate> {
        self.fields().iter().map(|(name, operator)| HeaderTemplate {
            name: (*name).into(),
            value: HeaderValueTemplate::new(vec![TemplatePiece::Operator(operator.clone())]),
            replaced_on_refusal: false,
        })
    }

    const fn fields(self) -> &'static [(&'static str, Operator)] {
        match self {
            Self::XRateLimit => &[
                ("X-RateLimit-Limit", Operator::Limit),
                ("X-RateLimit-Remaining", Operator::Remaining),
                ("X-RateLimit-Reset", Operator::ResetAfter),
            ],
            Self::RateLimit => &[
                ("RateLimit-Policy", Operator::EnforcedLimits),
                ("RateLimit", Operator::ReportedLimit),
            ],
            Self::RetryAfter => &[("Retry-After", Operator::RetryAfter)],
        }
    }
}
