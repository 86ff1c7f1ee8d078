//! Whether a refused descriptor refuses its request.

use super::target::Target;
use crate::policy::Domain;
use crate::store::Enforcement;

/// How the targets of one request are enforced.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestEnforcement<'p> {
    domain: Option<&'p Domain>,
    /// `Ignored` if one of the quotas is never over: then all quotas together never refuse.
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
    pub(super) fn new(domain: Option<&'p Domain>, targets: &[Target<'p>]) -> Self {
        let mut quotas = targets.iter().filter(|target| target.is_quota(domain));
        let is_never_over = |target: &Target<'p>| match target.limits() {
            Some(limits) => limits.is_shadow() || target.is_soft(domain),
            None => true,
        };
        Self {
            domain,
            quotas: match quotas.any(is_never_over) {
                true => Enforcement::Ignored,
                false => Enforcement::Quota,
            },
        }
    }

    pub(super) fn of(&self, target: &Target<'p>) -> Enforcement {
        if self.domain.is_some_and(|domain| domain.shadow_mode)
            || target.limits().is_some_and(|limits| limits.is_shadow())
            || target.is_soft(self.domain)
        {
            Enforcement::Ignored
        } else if target.is_quota(self.domain) {
            self.quotas
        } else {
            Enforcement::Enforced
        }
    }
}
