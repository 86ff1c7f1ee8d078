//! What refusals of single descriptors mean for their request.

use super::plan::{Counted, Target};
use crate::policy::Domain;
use crate::store::Weight;

/// What a refused hit of each target means for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'p> {
    domain: Option<&'p Domain>,
    /// A quota that is never over keeps all the others from refusing.
    quotas: Weight,
}

impl Default for Weights<'_> {
    fn default() -> Self {
        Self {
            domain: None,
            quotas: Weight::Quota,
        }
    }
}

impl<'p> Weights<'p> {
    pub(super) fn of(domain: Option<&'p Domain>, targets: &[Target<'p>]) -> Self {
        let mut quotas = targets.iter().filter(|target| target.is_quota(domain));
        let never_over = |target: &Target<'_>| match target.counted() {
            Some(counted) => counted.rule().is_some_and(|rule| rule.shadow_mode),
            None => true,
        };
        Self {
            domain,
            quotas: match quotas.any(never_over) {
                true => Weight::None,
                false => Weight::Quota,
            },
        }
    }

    pub(super) fn of_target(&self, target: &Target<'_>) -> Weight {
        let rule = target.counted().and_then(Counted::rule);
        if self.domain.is_some_and(|domain| domain.shadow_mode)
            || rule.is_some_and(|rule| rule.shadow_mode)
        {
            Weight::None
        } else if target.is_quota(self.domain) {
            self.quotas
        } else {
            Weight::Decides
        }
    }
}
