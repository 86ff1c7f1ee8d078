//! What applies to every domain in addition to what its files say.

use std::sync::Arc;

use super::response::{HeaderTemplate, ResponseTemplate};
use super::template::{HeaderValueTemplate, Operator, TemplatePiece};

/// Settings of all domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainDefaults {
    /// No overall decision is a refusal.
    pub shadow_mode: bool,
    /// Every descriptor is a quota.
    pub quota_mode: bool,
    /// A refused request is charged to none of its descriptors.
    pub atomic: bool,
    /// The response of domains that have none of their own.
    pub response: Option<Arc<ResponseTemplate>>,
}

impl DomainDefaults {
    /// No settings.
    pub const NONE: Self = Self {
        shadow_mode: false,
        quota_mode: false,
        atomic: false,
        response: None,
    };
}

impl ResponseTemplate {
    /// Three headers with the numbers of the reported limit: hits per window, hits that remain, and seconds until the
    /// limit resets. The names must be valid HTTP tokens.
    pub fn of_limit([limit, remaining, reset]: [&str; 3]) -> Self {
        let header = |name: &str, operator| HeaderTemplate {
            name: name.into(),
            value: HeaderValueTemplate::new(vec![TemplatePiece::Operator(operator)]),
            replaced_on_refusal: false,
        };
        Self {
            headers: [
                header(limit, Operator::Limit),
                header(remaining, Operator::Remaining),
                header(reset, Operator::ResetAfter),
            ]
            .into(),
            ..Self::default()
        }
    }
}
