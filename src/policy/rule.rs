//! Rules: what a walk of the tree finds.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::document::{Metadata, Position};
use crate::limit::LimitSet;
use crate::policy::{MetricIds, ResponseTemplate, RuleName};

/// The rule of a node.
#[derive(Debug)]
pub struct Rule {
    /// The limits.
    pub limits: Limits,
    /// The name of the plan that they are of; `None` if they are the node's own.
    pub plan: Option<Arc<str>>,
    /// The table that gives single clients other limits.
    pub(super) assigned_by: Option<AssignedBy>,
    /// Hits are counted and reported, never refused.
    pub shadow_mode: bool,
    /// It refuses only if every quota of the request is over limit.
    pub quota_mode: bool,
    /// Its limits are soft: requests over them are let through, as its response says.
    pub is_soft: bool,
    /// The names of limits of other rules that this one replaces in the same request.
    pub replaces: Box<[Arc<str>]>,
    /// The answer when its hits cannot be counted.
    pub on_store_error: OnStoreError,
    /// The names of its hits in metrics.
    pub metric: MetricDetail,
    /// The `metadata` of the rule.
    pub metadata: Option<Arc<Metadata>>,
    /// Its name in logs, metrics and reports.
    pub name: RuleName,
    /// Where metrics count its hits.
    pub metric_ids: MetricIds,
    /// The file it comes from.
    pub file: Option<Arc<Path>>,
    /// The position of its `rate_limit`, of the name of its plan, or of `exempt`, in that file.
    pub position: Option<Position>,
}

impl Rule {
    /// Whether a table may give single clients other limits.
    #[inline]
    pub fn has_assignments(&self) -> bool {
        self.assigned_by.is_some()
    }

    /// Its path in the file, such as `descriptors[2].descriptors[0]`.
    pub fn path(&self) -> String {
        let levels = self.name.levels.iter();
        let steps = levels.map(|level| format!("descriptors[{}]", level.index));
        steps.collect::<Vec<_>>().join(".")
    }
}

/// Which table changes a rule, and which of the rules with a table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AssignedBy {
    /// The index of the table in the domain.
    pub(super) table: u32,
    /// The index of the rule in `assigned_rules` of the domain.
    pub(super) slot: u32,
}

/// The answer when the store cannot count a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnStoreError {
    /// Until then each instance counts in its own memory.
    #[default]
    Local,
    /// Within limit.
    Allow,
    /// Over limit.
    Deny,
    /// The call fails, and the caller decides.
    Error,
}

/// The names of a rule's hits in metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricDetail {
    /// By the values that were sent, at every level (`detailed_metric`).
    pub detailed: bool,
    /// By the value that was sent, at the levels of this mask (`value_to_metric`); bit 0 is the first level.
    pub value_levels: u64,
}

/// The limits of a rule.
#[derive(Clone, Debug)]
pub enum Limits {
    /// None: always within limit.
    Unlimited {
        /// Its name, which `replaces` can refer to.
        name: Option<Arc<str>>,
    },
    /// None, nor does any other rule limit a request that matches this one.
    Exempt,
    /// Hits are counted against limits that act together.
    Counted(LimitSet),
}

/// `600 per minute; 10000 per day`, `unlimited` or `exempt`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited { .. } => f.write_str("unlimited"),
            Self::Exempt => f.write_str("exempt"),
            Self::Counted(set) => {
                for (at, limit) in set.limits.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "; " };
                    write!(f, "{separator}{limit}")?;
                }
                Ok(())
            }
        }
    }
}

/// A part of the identity of a counter; a walk adds them to a [`CounterIdentity`] in order.
///
/// It does not depend on the position in the file, so a reload keeps counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityPart<'a> {
    /// The key of a level.
    Key(&'a [u8]),
    /// The value in the request, where each value has its own counter; addresses in their canonical form.
    Value(&'a [u8]),
    /// The block of addresses that are counted together, in its usual text.
    Prefix {
        /// An address alone if no bit is cut.
        text: &'a [u8],
        /// The length that `count_prefix` asks for.
        len: u8,
    },
    /// The text of a pattern.
    Pattern(&'a [u8]),
    /// A capture that `count_by` names, or the method.
    Capture(&'a [u8]),
    /// The text of a wildcard or a block whose values share one counter.
    Shared(&'a [u8]),
}

/// Gathers the identity of a counter during a walk.
pub trait CounterIdentity {
    /// Adds a part.
    fn add(&mut self, part: IdentityPart<'_>);
}

/// The end of a walk that used all entries.
#[derive(Clone, Copy, Debug)]
pub struct MatchedNode<'p> {
    /// The rule of that node, if it has one.
    pub rule: Option<&'p Arc<Rule>>,
    /// The `metadata` of the node, whether it has a rule or not.
    pub metadata: Option<&'p Arc<Metadata>>,
    /// The nearest `response` up the tree, or the domain's.
    pub response: Option<&'p Arc<ResponseTemplate>>,
    /// Every level has a counter per value: none is shared, and none was matched by a pattern.
    pub per_value: bool,
}
