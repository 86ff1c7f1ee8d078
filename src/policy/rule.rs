//! What the walk of the tree finds.

use std::path::Path;
use std::sync::Arc;

use crate::document::{Metadata, Position};
use crate::limit::LimitSet;
use crate::policy::{MetricIds, ResponseTemplate, RuleName};

/// What a node of the tree asks for.
#[derive(Debug)]
pub struct Rule {
    /// What is counted.
    pub limits: Limits,
    /// Counted and reported, never refused.
    pub shadow_mode: bool,
    /// Over limit only counts when every quota of the request is over.
    pub quota_mode: bool,
    /// Names of limits of other rules that this one displaces in the same request.
    pub replaces: Box<[Arc<str>]>,
    /// What to answer when its hits cannot be counted.
    pub on_store_error: OnStoreError,
    /// How its hits are named in metrics.
    pub metric: MetricDetail,
    /// What the rule says of itself.
    pub metadata: Option<Arc<Metadata>>,
    /// What operators call it.
    pub name: RuleName,
    /// Where its hits are counted.
    pub metric_ids: MetricIds,
    /// The file in which it stands …
    pub file: Option<Arc<Path>>,
    /// … and the position of its `rate_limit` there.
    pub position: Option<Position>,
}

impl Rule {
    /// Where it stands in the tree of its file, such as `descriptors[2].descriptors[0]`.
    pub fn path(&self) -> String {
        let levels = self.name.levels.iter();
        let steps = levels.map(|level| format!("descriptors[{}]", level.index));
        steps.collect::<Vec<_>>().join(".")
    }
}

/// What to answer when the store of counters cannot count a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnStoreError {
    /// What its limits come to when each weir counts for itself meanwhile.
    #[default]
    Local,
    /// Within limit.
    Allow,
    /// Over limit.
    Deny,
    /// Nothing: the call fails, and the caller knows what to do then.
    Error,
}

/// How a rule's hits are named in metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricDetail {
    /// By the values that were sent, at every level (`detailed_metric`).
    pub detailed: bool,
    /// By the value that was sent, at the levels of this mask (`value_to_metric`); bit 0 is the first level.
    pub value_levels: u64,
}

/// What a rule counts.
#[derive(Debug)]
pub enum Limits {
    /// Nothing: always within limit.
    Unlimited {
        /// Its name, which `replaces` can refer to.
        name: Option<Arc<str>>,
    },
    /// Hits, against limits that act together.
    Counted(LimitSet),
}

/// One part of what makes a counter its own; a walk hands them to [`CounterIdentity`] in order.
///
/// The position in the file does not matter, so a reload keeps counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityPart<'a> {
    /// The key of a level.
    Key(&'a [u8]),
    /// The value that was sent, where each has its own counter; of an address in a block, its usual text.
    Value(&'a [u8]),
    /// The text of a pattern.
    Pattern(&'a [u8]),
    /// A captured piece that `count_by` names, or the method.
    Capture(&'a [u8]),
    /// The text of a wildcard or a block whose values share one counter.
    Shared(&'a [u8]),
}

/// Gathers the identity of a counter during a walk.
pub trait CounterIdentity {
    /// Adds a part.
    fn add(&mut self, part: IdentityPart<'_>);
}

/// Where a walk that used all entries has ended.
#[derive(Clone, Copy, Debug)]
pub struct MatchedNode<'p> {
    /// The rule of that node, if it has one.
    pub rule: Option<&'p Arc<Rule>>,
    /// What the node says of itself, rule or not.
    pub metadata: Option<&'p Arc<Metadata>>,
    /// What the client is told: the nearest `response` up the tree, else the domain's.
    pub response: Option<&'p Arc<ResponseTemplate>>,
    /// Every level was counted per value: nothing is shared, nothing was matched by a pattern.
    pub per_value: bool,
}
