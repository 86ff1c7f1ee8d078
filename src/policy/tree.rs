//! The tree that a decision walks: complete, immutable, one arena per domain.
//!
//! Every default is resolved at load, so a walk allocates nothing and its cost does not depend on
//! the number of rules. By design, a walk does not backtrack between levels, and the rule of an
//! inner node does not apply to a longer descriptor.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::document::Metadata;
use crate::policy::byte_map::ByteMap;
use crate::policy::matchers::cidr::CidrIndex;
use crate::policy::matchers::path::{CaptureRef, PathTrie};
use crate::policy::matchers::sha256::Sha256Hash;
use crate::policy::matchers::wildcard::WildcardIndex;
use crate::policy::{
    CounterIdentity, IdentityPart, MatchedNode, MetricIds, ResponseTemplate, Rule,
};
use crate::request::Entry;

/// All domains, loaded together.
#[derive(Debug, Default)]
pub struct Policy {
    domains: ByteMap<Domain>,
    rule_count: usize,
    is_awaited: bool,
}

/// One compiled domain.
#[derive(Debug)]
pub struct Domain {
    /// The name; never empty.
    pub name: Arc<str>,
    /// The overall decision is never a refusal.
    pub shadow_mode: bool,
    /// Every descriptor is a quota.
    pub quota_mode: bool,
    /// Where its decisions are counted.
    pub metric_ids: MetricIds,
    /// A refused request is charged to none of its descriptors.
    pub atomic: bool,
    /// The key of the entry that names a lease; `None` if the domain has no limit with leases.
    pub(crate) lease_entry: Option<Box<[u8]>>,
    pub(crate) response: Option<Arc<ResponseTemplate>>,
    pub(crate) secrets: HashSet<Box<[u8]>>,
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) nodes: Vec<PolicyNode>,
    pub(crate) levels: Vec<PolicyLevel>,
    pub(crate) top: Option<u32>,
}

/// Where a walk can end.
#[derive(Debug, Default)]
pub(crate) struct PolicyNode {
    pub(crate) rule: Option<Arc<Rule>>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) response: Option<Arc<ResponseTemplate>>,
    pub(crate) below: Option<u32>,
}

/// The nodes below one node, by key.
#[derive(Debug)]
pub(crate) struct PolicyLevel {
    pub(crate) keys: ByteMap<KeyNodes>,
}

/// The nodes of one key at one level, in the order in which they are tried.
#[derive(Debug, Default)]
pub(crate) struct KeyNodes {
    pub(crate) exact: ByteMap<u32>,
    pub(crate) matchers: Option<Box<Matchers>>,
    pub(crate) any: Option<u32>,
}

/// The rarer ways to choose a node.
#[derive(Debug)]
pub(crate) struct Matchers {
    pub(crate) hashes: HashMap<Sha256Hash, u32>,
    pub(crate) trie: PathTrie,
    /// The nodes that the trie refers to by index.
    pub(crate) patterns: Box<[PathNode]>,
    pub(crate) cidrs: CidrIndex<CidrNode>,
    pub(crate) wildcards: WildcardIndex<WildcardNode>,
}

#[derive(Debug)]
pub(crate) struct PathNode {
    pub(crate) text: Box<str>,
    /// Sorted by name: the order in the file has no effect.
    pub(crate) count_by: Box<[CaptureRef]>,
    pub(crate) node: u32,
}

#[derive(Debug)]
pub(crate) struct CidrNode {
    pub(crate) counter: CidrCounter,
    pub(crate) node: u32,
}

/// Which addresses of a cidr have a counter together.
#[derive(Debug)]
pub(crate) enum CidrCounter {
    /// Each has its own.
    Address,
    /// Those with the same prefix of this length, at least that of the cidr.
    Prefix(u8),
    /// All; with the text of the cidr.
    Shared(Box<str>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WildcardNode {
    pub(crate) is_shared: bool,
    pub(crate) node: u32,
}

impl Policy {
    /// The placeholder for a policy that has not arrived yet: nothing can be decided.
    pub fn awaited() -> Self {
        Self {
            is_awaited: true,
            ..Self::default()
        }
    }

    /// Whether it is the placeholder for one that has not arrived yet.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    pub(crate) fn new(domains: Vec<Domain>) -> Self {
        Self {
            rule_count: domains.iter().map(|domain| domain.rules.len()).sum(),
            domains: domains
                .into_iter()
                .map(|domain| (domain.name.as_bytes().into(), domain))
                .collect(),
            is_awaited: false,
        }
    }

    /// The domain of that name.
    pub fn domain(&self, name: &[u8]) -> Option<&Domain> {
        self.domains.get(name)
    }

    /// All domains, by name.
    pub fn domains(&self) -> Vec<&Domain> {
        let names = self.domains.keys().into_iter();
        names.filter_map(|name| self.domains.get(name)).collect()
    }

    /// The number of domains.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// The number of rules with a limit in all domains.
    pub fn rule_count(&self) -> usize {
        self.rule_count
    }
}

impl Domain {
    /// The deepest level that a walk reaches.
    pub const MAX_DEPTH: usize = 64;

    /// The response of the domain, which applies where no node has its own.
    pub fn response(&self) -> Option<&Arc<ResponseTemplate>> {
        self.response.as_ref()
    }

    /// Whether the values of `key` must not be shown.
    pub fn is_secret(&self, key: &[u8]) -> bool {
        self.secrets.contains(key)
    }

    /// The key of the entry that names a lease; `None` if the domain has no limit with leases.
    pub fn lease_entry(&self) -> Option<&[u8]> {
        self.lease_entry.as_deref()
    }

    /// Every rule, in the order of the policy.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Walks the tree, one entry per level; `None` if an entry does not match, or if there are no entries.
    ///
    /// On the way it adds the parts of the counter's identity, except the domain, to `identity`. A
    /// walk that finds nothing may have added some.
    pub fn walk<'p>(
        &'p self,
        entries: &[Entry],
        identity: &mut impl CounterIdentity,
    ) -> Option<MatchedNode<'p>> {
        let mut below = self.top;
        let mut node = None;
        let mut per_value = true;
        for entry in entries {
            let choice = self.levels[below? as usize].keys.get(&entry.key)?;
            identity.add(IdentityPart::Key(&entry.key));
            let (chosen, is_per_value) = choice.choose(&entry.value, identity)?;
            per_value &= is_per_value;
            let chosen = &self.nodes[chosen as usize];
            below = chosen.below;
            node = Some(chosen);
        }
        let node = node?;
        Some(MatchedNode {
            rule: node.rule.as_ref(),
            metadata: node.metadata.as_ref(),
            response: node.response.as_ref(),
            per_value,
        })
    }
}

impl KeyNodes {
    /// The node for `value`, and whether each value has its own counter there.
    pub(crate) fn choose(
        &self,
        value: &[u8],
        identity: &mut impl CounterIdentity,
    ) -> Option<(u32, bool)> {
        if let Some(node) = self.exact.get(value) {
            identity.add(IdentityPart::Value(value));
            return Some((*node, true));
        }
        if let Some(found) = self
            .matchers
            .as_ref()
            .and_then(|by| by.choose(value, identity))
        {
            return Some(found);
        }
        let node = self.any?;
        identity.add(IdentityPart::Value(value));
        Some((node, true))
    }
}

impl Matchers {
    fn choose(&self, value: &[u8], identity: &mut impl CounterIdentity) -> Option<(u32, bool)> {
        // Hashing a long value is slow: only where the policy has hashes.
        if !self.hashes.is_empty()
            && let Some(node) = self.hashes.get(&Sha256Hash::of(value))
        {
            identity.add(IdentityPart::Value(value));
            return Some((*node, true));
        }
        if let Some(found) = self.trie.find(value) {
            let pattern = &self.patterns[found.target as usize];
            identity.add(IdentityPart::Pattern(pattern.text.as_bytes()));
            for capture in &pattern.count_by {
                identity.add(IdentityPart::Capture(found.piece(*capture)));
            }
            return Some((pattern.node, false));
        }
        if let Some((address, cidr)) = self.cidrs.find(value) {
            match &cidr.counter {
                CidrCounter::Address => {
                    address.with_text(|text| identity.add(IdentityPart::Value(text)));
                }
                CidrCounter::Prefix(len) => address
                    .cut(*len)
                    .with_text(|text| identity.add(IdentityPart::Prefix { text, len: *len })),
                CidrCounter::Shared(text) => identity.add(IdentityPart::Shared(text.as_bytes())),
            }
            let is_per_value = matches!(cidr.counter, CidrCounter::Address);
            return Some((cidr.node, is_per_value));
        }
        let (wildcard, target) = self.wildcards.find(value)?;
        identity.add(if target.is_shared {
            IdentityPart::Shared(wildcard.text())
        } else {
            IdentityPart::Value(value)
        });
        Some((target.node, !target.is_shared))
    }
}
