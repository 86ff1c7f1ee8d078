//! The tree that a decision walks: complete, immutable, one arena per domain.
//!
//! Every default is resolved at load, so a walk allocates nothing and its cost does not depend on
//! the number of rules. By design, a walk does not backtrack between levels, and the rule of an
//! inner node does not apply to a longer descriptor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::document::Metadata;
use crate::policy::assignments::{Assigned, Assignment, ClientKey};
use crate::policy::byte_map::ByteMap;
use crate::policy::matchers::cidr::CidrIndex;
use crate::policy::matchers::path::{CaptureRef, PathTrie};
use crate::policy::matchers::sha256::Sha256Hash;
use crate::policy::matchers::wildcard::WildcardIndex;
use crate::policy::rule::AssignedBy;
use crate::policy::{
    CounterIdentity, IdentityPart, MatchedNode, MetricIds, ResponseTemplate, Rule, Terms,
};
use crate::request::Entry;

/// All domains, loaded together.
#[derive(Debug, Default)]
pub struct Policy {
    /// Policies that differ only in assignments that were added share them.
    domains: Arc<ByteMap<Domain>>,
    /// The assignments that were added to each domain, by its index; `None` if there are none.
    added: Option<Arc<[Assigned]>>,
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
    pub(super) plans: BTreeMap<Arc<str>, Arc<Terms>>,
    pub(crate) secrets: HashSet<Box<[u8]>>,
    /// The tables that its nodes name.
    pub(super) tables: Box<[UsedTable]>,
    /// The indices of the rules with a table.
    pub(super) assigned_rules: Box<[u32]>,
    /// What the files of the tables say.
    pub(super) assigned: Assigned,
    /// Its index in the policy.
    pub(super) index: u32,
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) nodes: Vec<PolicyNode>,
    pub(crate) levels: Vec<PolicyLevel>,
    pub(crate) top: Option<u32>,
}

/// A table of assignments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TableSummary {
    /// Its domain.
    pub domain: String,
    /// Its name.
    pub table: String,
    /// The rows of its files.
    pub rows: usize,
}

/// A table that nodes name.
#[derive(Debug)]
pub(super) struct UsedTable {
    pub(super) name: Arc<str>,
    /// The file of the policy; those of the table are next to it.
    pub(super) file: Arc<Path>,
    /// Whether it is for values of a secret key.
    pub(super) is_secret: bool,
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

    pub(crate) fn new(mut domains: Vec<Domain>) -> Self {
        for (index, domain) in domains.iter_mut().enumerate() {
            domain.index = index as u32;
        }
        let by_name: ByteMap<Domain> = domains
            .into_iter()
            .map(|domain| (domain.name.as_bytes().into(), domain))
            .collect();
        let mut policy = Self {
            domains: Arc::new(by_name),
            ..Self::default()
        };
        let rules = policy.domains().into_iter();
        policy.rule_count = rules.map(|domain| domain.rules.len()).sum();
        policy
    }

    /// The same policy with other assignments that were added.
    pub(super) fn with_added(&self, added: Option<Arc<[Assigned]>>) -> Self {
        Self {
            domains: Arc::clone(&self.domains),
            added,
            rule_count: self.rule_count,
            is_awaited: self.is_awaited,
        }
    }

    /// The tables of all domains.
    pub fn tables(&self) -> Vec<TableSummary> {
        let domains = self.domains().into_iter();
        let of_domain = |domain: &Domain| {
            let rows = domain.assigned.row_counts();
            let tables = domain.tables.iter().zip(rows);
            let tables = tables.map(|(table, rows)| TableSummary {
                domain: domain.name.to_string(),
                table: table.name.to_string(),
                rows,
            });
            tables.collect::<Vec<_>>()
        };
        domains.flat_map(of_domain).collect()
    }

    /// All domains, in the order of their indices.
    pub(super) fn by_index(&self) -> Vec<&Domain> {
        let mut domains = self.domains();
        domains.sort_by_key(|domain| domain.index);
        domains
    }

    /// The row for the value of a client that ends at `rule`, if a table of the rule has one that is in force at `now`.
    ///
    /// Rows that were added precede those of files.
    pub fn assignment<'p>(
        &'p self,
        domain: &'p Domain,
        rule: &Rule,
        value: &[u8],
        now: Timestamp,
    ) -> Option<Assignment<'p>> {
        let by = rule.assigned_by?;
        self.find_row(domain, by, &ClientKey::new(value), now)
    }

    pub(super) fn find_row<'p>(
        &'p self,
        domain: &'p Domain,
        by: AssignedBy,
        client: &ClientKey<'_>,
        now: Timestamp,
    ) -> Option<Assignment<'p>> {
        let added = self
            .added
            .as_deref()
            .and_then(|added| added.get(domain.index as usize));
        let added = added.and_then(|added| added.find(by, client, now));
        added.or_else(|| domain.assigned.find(by, client, now))
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
