//! Limits that travel in a request.

use crate::limit::{Charge, Limit, LimitKind, LimitSet};
use crate::policy::{Limits, MatchedNode};
use crate::request::{Override, Request};

/// The limits that came with a request, in the form of policy limits.
#[derive(Debug)]
pub(super) struct Overrides(Box<[Option<LimitSet>]>);

impl Overrides {
    /// Empty, without allocation, if no descriptor has one.
    pub(super) fn from_request(request: &Request) -> Self {
        let descriptors = &request.descriptors;
        if descriptors
            .iter()
            .all(|descriptor| descriptor.limit.is_none())
        {
            return Self(Box::default());
        }
        let sets = descriptors
            .iter()
            .map(|descriptor| descriptor.limit.map(set));
        Self(sets.collect())
    }

    /// The override of the descriptor at `index`.
    pub(super) fn get(&self, index: usize) -> Option<&LimitSet> {
        self.0.get(index)?.as_ref()
    }
}

/// An override is one fixed window that is always charged, as in envoyproxy/ratelimit.
fn set(limit: Override) -> LimitSet {
    let limit = Limit::new(LimitKind::FixedWindow(limit.into()));
    LimitSet {
        limits: Box::new([limit]),
        charge: Charge::Always,
    }
}

/// Whether the matched rule counts exactly as the override does, so that they share a counter.
pub(super) fn counts_like(found: &MatchedNode<'_>, set: &LimitSet) -> bool {
    let Some(Limits::Counted(own)) = found.rule.map(|rule| &rule.limits) else {
        return false;
    };
    let alike = |a: &Limit, b: &Limit| match (&a.kind, &b.kind) {
        (LimitKind::FixedWindow(a), LimitKind::FixedWindow(b)) => {
            a.window.secs() == b.window.secs()
        }
        _ => false,
    };
    found.per_value
        && own.charge == set.charge
        && own.limits.len() == set.limits.len()
        && own
            .limits
            .iter()
            .zip(&set.limits)
            .all(|(own, other)| alike(own, other))
}
