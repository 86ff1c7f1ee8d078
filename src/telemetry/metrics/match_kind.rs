//! What a descriptor matched.

use crate::engine::DescriptorResult;
use crate::policy::Limits;

/// What a descriptor matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MatchKind {
    Rule,
    Unlimited,
    Exempt,
    Override,
    Replaced,
    None,
    UnknownDomain,
}

impl MatchKind {
    pub(super) const ALL: [Self; 7] = [
        Self::Rule,
        Self::Unlimited,
        Self::Exempt,
        Self::Override,
        Self::Replaced,
        Self::None,
        Self::UnknownDomain,
    ];

    pub(super) fn new(result: &DescriptorResult<'_>) -> Self {
        match (result.rule, result.outcomes.is_empty()) {
            _ if result.domain.is_none() => Self::UnknownDomain,
            (Some(rule), _) if matches!(rule.limits, Limits::Exempt) => Self::Exempt,
            (Some(_), _) if result.limits.is_none() => Self::Unlimited,
            (Some(_), _) => Self::Rule,
            (None, _) if result.is_exempted => Self::Exempt,
            (None, false) => Self::Override,
            (None, true) if result.is_replaced => Self::Replaced,
            (None, true) => Self::None,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Unlimited => "unlimited",
            Self::Exempt => "exempt",
            Self::Override => "override",
            Self::Replaced => "replaced",
            Self::None => "none",
            Self::UnknownDomain => "unknown_domain",
        }
    }
}
