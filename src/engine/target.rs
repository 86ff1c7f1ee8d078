//! What one descriptor of a request matches, and which of its limits count.

use std::sync::Arc;

use crate::limit::{Active, Limit, LimitSet};
use crate::policy::{
    Domain, Limits, MatchedNode, Metadata, OnStoreError, ResponseTemplate, Rule, Terms,
};

/// A descriptor, matched.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// The node that matched the last entry.
    pub(super) node: Option<MatchedNode<'a>>,
    /// What a table says of the client, in place of what the rule says.
    pub(super) terms: Option<&'a Terms>,
    pub(super) matched: Match<'a>,
}

/// What the descriptor is limited by.
#[derive(Debug)]
pub(super) enum Match<'a> {
    /// No rule.
    None,
    /// A rule whose limits are all replaced by other rules of the request.
    Replaced,
    /// A rule that is `unlimited`.
    Unlimited,
    /// A rule that exempts the request.
    Exempt,
    /// Anything, in a request that another descriptor exempts.
    Exempted,
    /// The limits of a rule, or an override.
    Limits(MatchedLimits<'a>),
}

/// The limits that a descriptor is counted against.
#[derive(Debug)]
pub(super) struct MatchedLimits<'a> {
    /// `None` if the limit came with the request.
    pub(super) rule: Option<&'a Rule>,
    pub(super) set: &'a LimitSet,
    /// Without the limits that other rules replace.
    pub(super) active: Active,
}

impl<'a> Target<'a> {
    /// A descriptor that matches no rule.
    pub(super) const UNMATCHED: Self = Self {
        node: None,
        terms: None,
        matched: Match::None,
    };

    pub(super) fn limits(&self) -> Option<&MatchedLimits<'a>> {
        match &self.matched {
            Match::Limits(limits) => Some(limits),
            Match::None | Match::Replaced | Match::Unlimited | Match::Exempt | Match::Exempted => {
                None
            }
        }
    }

    /// The rule of the policy that applies; `None` for an override.
    pub(super) fn rule(&self) -> Option<&'a Rule> {
        match &self.matched {
            Match::None | Match::Replaced | Match::Exempted => None,
            Match::Unlimited | Match::Exempt => self.node?.rule.map(Arc::as_ref),
            Match::Limits(limits) => limits.rule,
        }
    }

    /// The names of limits of other rules that its limits replace; `rule` is the target's own.
    pub(super) fn replaces(&self, rule: &'a Rule) -> &'a [Arc<str>] {
        self.terms.map_or(&rule.replaces, |terms| &terms.replaces)
    }

    /// Whether it refuses only together with all other quotas of the request.
    ///
    /// In a domain in quota mode that is every descriptor, matched or not, except unlimited and exempt ones.
    pub(super) fn is_quota(&self, domain: Option<&Domain>) -> bool {
        if matches!(
            self.matched,
            Match::Unlimited | Match::Exempt | Match::Exempted
        ) {
            return false;
        }
        let rule = self.limits().and_then(|limits| limits.rule);
        domain.is_some_and(|domain| domain.quota_mode) || rule.is_some_and(|rule| rule.quota_mode)
    }

    /// The metadata of the matched node, unless its rule was replaced.
    pub(super) fn metadata(&self) -> Option<&'a Arc<Metadata>> {
        match self.matched {
            Match::Replaced | Match::None => None,
            Match::Unlimited | Match::Exempt | Match::Exempted | Match::Limits(_) => {
                self.node?.metadata
            }
        }
    }

    /// The response template to use when this target is reported.
    pub(super) fn response(&self, domain: &'a Domain) -> Option<&'a ResponseTemplate> {
        let response = match self.node {
            Some(node) => node.response,
            None => domain.response(),
        };
        response.map(Arc::as_ref)
    }

    /// Whether a request over its limits is let through, as its response says.
    pub(super) fn is_soft(&self, domain: Option<&'a Domain>) -> bool {
        let Some(limits) = self.limits() else {
            return false;
        };
        match limits.rule {
            Some(rule) => {
                let response = self.terms.and_then(|terms| terms.response.as_ref());
                response.map_or(rule.is_soft, |response| response.over_limit.allow)
            }
            // An override has the response of the node that it matches.
            None => domain
                .and_then(|domain| self.response(domain))
                .is_some_and(|response| response.over_limit.allow),
        }
    }

    /// Deactivates the limits of `rule`, which is the target's own, whose names `is_replaced`.
    pub(super) fn replace(&mut self, rule: &Rule, is_replaced: impl Fn(Option<&Arc<str>>) -> bool) {
        let mut left = match self.terms.map_or(&rule.limits, |terms| &terms.limits) {
            Limits::Unlimited { name } => usize::from(!is_replaced(name.as_ref())),
            Limits::Exempt => return,
            Limits::Counted(set) => set.limits.len(),
        };
        if let Match::Limits(matched) = &mut self.matched {
            let limits = matched.set.limits.iter().enumerate();
            for (index, _) in limits.filter(|(_, limit)| is_replaced(limit.name.as_ref())) {
                matched.active = matched.active.without(index);
                left -= 1;
            }
        }
        if left == 0 {
            self.matched = Match::Replaced;
        }
    }
}

impl<'a> MatchedLimits<'a> {
    /// The limits that can refuse: neither replaced nor in shadow mode.
    pub(super) fn enforced(&self) -> impl Iterator<Item = &'a Limit> {
        let shadow = self.is_shadow();
        let active = self.active;
        let limits = self.set.limits.iter().enumerate();
        limits
            .filter(move |(index, limit)| !shadow && !limit.shadow_mode && active.contains(*index))
            .map(|(_, limit)| limit)
    }

    /// What to answer when the hits cannot be counted.
    pub(super) fn on_store_error(&self) -> OnStoreError {
        self.rule
            .map_or(OnStoreError::Local, |rule| rule.on_store_error)
    }

    /// Whether its rule is in shadow mode.
    pub(super) fn is_shadow(&self) -> bool {
        self.rule.is_some_and(|rule| rule.shadow_mode)
    }
}
