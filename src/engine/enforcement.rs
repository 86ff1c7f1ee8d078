//! What refusals of single descriptors mean for their request.

use super::plan::{MatchedLimits, Target};
use crate::policy::Domain;
use crate::store::Enforcement;

/// What a refused hit of each target means for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestEnforcement<'p> {
    domain: Option<&'p Domain>,
    /// A quota that is never over keeps all the others from refusing.
    quotas: Enforcement,
}

impl Default for RequestEnforcement<'_> {
    fn default() -> Self {
        Self {
            domain: None,
            quotas: Enforcement::Quota,
        }
    }
}

impl<'p> RequestEnforcement<'p> {
    pub(super) fn of(domain: Option<&'p Domain>, targets: &[Target<'p>]) -> Self {
        let mut quotas = targets.iter().filter(|target| target.is_quota(domain));
        let never_over = |target: &Target<'_>| match target.counted() {
            Some(counted) => counted.rule().is_some_and(|rule| rule.shadow_mode),
            None => true,
        };
        Self {
            domain,
            quotas: match quotas.any(never_over) {
                true => Enforcement::Ignored,
                false => Enforcement::Quota,
            },
        }
    }

    pub(super) fn of_target(&self, target: &Target<'_>) -> Enforcement {
        let rule = target.counted().and_then(MatchedLimits::rule);
        if self.domain.is_some_and(|domain| domain.shadow_mode)
            || rule.is_some_and(|rule| rule.shadow_mode)
        {
            Enforcement::Ignored
        } else if target.is_quota(self.domain) {
            self.quotas
        } else {
            Enforcement::Enforced
        }
    }
}
