//! Builder of one level of the tree; it reports duplicates and nodes that can never match.

use std::collections::HashMap;

use super::cidr::CidrMatcher;
use super::matcher::Matcher;
use crate::document::{FilePosition, PathElement, Position, Report, Spanned, Text, quoted};
use crate::policy::PolicyCode;
use crate::policy::matchers::cidr::{Cidr, CidrIndex};
use crate::policy::matchers::path::PathTrie;
use crate::policy::matchers::sha256::Sha256Hash;
use crate::policy::matchers::wildcard::{Wildcard, WildcardIndex};
use crate::policy::tree::{CidrNode, KeyNodes, Matchers, PathNode, PolicyLevel, WildcardNode};

/// The nodes of one level, by key.
#[derive(Debug, Default)]
pub(super) struct LevelBuilder {
    keys: HashMap<Text, KeyNodesBuilder>,
}

/// The nodes of one key.
#[derive(Debug, Default)]
struct KeyNodesBuilder {
    exact: HashMap<Text, (u32, FilePosition)>,
    hashes: HashMap<Sha256Hash, Origin>,
    trie: PathTrie,
    patterns: Vec<(PathNode, FilePosition)>,
    cidrs: HashMap<Cidr, (CidrNode, FilePosition)>,
    wildcards: Vec<WildcardDraft>,
    wildcard_texts: HashMap<Box<[u8]>, FilePosition>,
    any: Option<Origin>,
}

#[derive(Debug)]
struct WildcardDraft {
    wildcard: Wildcard,
    target: WildcardNode,
    origin: Origin,
}

/// A node and the position of its descriptor.
#[derive(Clone, Copy, Debug)]
struct Origin {
    node: u32,
    index: usize,
    at: FilePosition,
}

impl LevelBuilder {
    /// Adds the node of the descriptor at `index`, unless another node already has its matcher.
    pub(super) fn add(
        &mut self,
        key: &Spanned<Text>,
        matcher: Matcher,
        node: u32,
        index: usize,
        report: &mut Report,
    ) {
        let builder = self.keys.entry(key.value.clone()).or_default();
        match matcher {
            Matcher::Exact(values) => {
                for value in values {
                    if let Some((_, first)) = builder.exact.get(&value.value) {
                        report_duplicate("value", *first, value.position, report);
                    } else {
                        let at = report.file_position(value.position);
                        builder.exact.insert(value.value, (node, at));
                    }
                }
            }
            Matcher::Sha256(hash) => match builder.hashes.get(&hash.value) {
                Some(first) => report_duplicate("value", first.at, hash.position, report),
                None => {
                    let at = report.file_position(hash.position);
                    builder
                        .hashes
                        .insert(hash.value, Origin { node, index, at });
                }
            },
            Matcher::Cidr(matcher) => builder.add_cidrs(&matcher, node, report),
            Matcher::Pattern(matcher) => {
                let target = builder.patterns.len() as u32;
                if let Err(present) = builder.trie.insert(&matcher.pattern, target) {
                    let first = builder.patterns[present as usize].1;
                    report_duplicate("pattern", first, matcher.position, report);
                }
                let pattern = PathNode {
                    text: matcher.pattern.text,
                    count_by: matcher.count_by,
                    node,
                };
                builder
                    .patterns
                    .push((pattern, report.file_position(matcher.position)));
            }
            Matcher::Wildcard(matcher) => {
                if let Some(first) = builder.wildcard_texts.get(matcher.wildcard.text()) {
                    report_duplicate("wildcard", *first, matcher.position, report);
                    return;
                }
                let at = report.file_position(matcher.position);
                builder
                    .wildcard_texts
                    .insert(matcher.wildcard.text().into(), at);
                builder.wildcards.push(WildcardDraft {
                    wildcard: matcher.wildcard,
                    target: WildcardNode {
                        is_shared: matcher.is_shared,
                        node,
                    },
                    origin: Origin { node, index, at },
                });
            }
            Matcher::Any => match builder.any {
                Some(first) => {
                    report_duplicate("key without a matcher", first.at, key.position, report);
                }
                None => {
                    let at = report.file_position(key.position);
                    builder.any = Some(Origin { node, index, at });
                }
            },
        }
    }

    /// Reports hashes of values that the same level also has in plain text.
    pub(super) fn find_hashed_twice(&self, report: &mut Report) {
        for builder in self
            .keys
            .values()
            .filter(|builder| !builder.hashes.is_empty())
        {
            for (value, (_, clear)) in &builder.exact {
                if let Some(origin) = builder.hashes.get(&Sha256Hash::of(value.as_bytes())) {
                    report_hashed_twice(*origin, *clear, report);
                }
            }
        }
    }

    /// Warns of nodes whose values are all matched by an earlier node.
    pub(super) fn find_unreachable(&self, report: &mut Report) {
        for builder in self
            .keys
            .values()
            .filter(|builder| !builder.wildcards.is_empty())
        {
            let index = builder
                .wildcards
                .iter()
                .map(|draft| (draft.wildcard.clone(), ()));
            let index = WildcardIndex::new(index.collect());
            for (at, wildcard) in builder.wildcards.iter().enumerate() {
                // A wildcard that matches the text of another one matches all that the other does.
                if let Some(first) = index
                    .position(wildcard.wildcard.text())
                    .filter(|first| *first < at)
                {
                    report_unreachable(wildcard.origin, builder.wildcards[first].origin.at, report);
                }
            }
            let is_all =
                |builder: &&WildcardDraft| builder.wildcard.text().iter().all(|b| *b == b'*');
            let all = builder.wildcards.iter().find(is_all);
            if let (Some(all), Some(any)) = (all, builder.any) {
                report_unreachable(any, all.origin.at, report);
            }
        }
    }

    /// Warns of keys of which only some values are listed, so that clients with any other value have no limit.
    pub(super) fn find_missing_catch_all(&self, report: &mut Report) {
        for (key, builder) in &self.keys {
            let is_chosen_by_client = !NAMED_BY_PROXY.contains(&&**key);
            if builder.exact.len() < 2 || !builder.has_only_exact() || !is_chosen_by_client {
                continue;
            }
            // Only some endpoints or addresses having a limit is usual.
            if !builder.exact.keys().all(|value| is_word(value)) {
                continue;
            }
            let first = builder.exact.values().map(|(_, at)| *at);
            let Some(first) = first.min_by_key(|at| (at.file, at.position)) else {
                continue;
            };
            let key = quoted(key);
            let count = builder.exact.len();
            let message = format!("values of {key} other than these {count} have no limit");
            let help = format!(
                "add a descriptor with the key {key} and no value; `rate_limit: {{unlimited: true}}` says that the \
                 others need no limit"
            );
            report.in_file(first.file, |report| {
                report.add_with_help(PolicyCode::MissingCatchAll, first.position, message, help);
            });
        }
    }

    pub(super) fn finish(self) -> PolicyLevel {
        let keys = self.keys.into_iter();
        PolicyLevel {
            keys: keys
                .map(|(key, builder)| (key.as_bytes().into(), builder.finish()))
                .collect(),
        }
    }
}

impl Origin {
    /// Runs `report` at the path of the descriptor, below that of the level.
    fn report_within(self, report: &mut Report, inside: impl FnOnce(&mut Report)) {
        report.in_file(self.at.file, |report| {
            report.within(PathElement::Index(self.index), inside);
        });
    }
}

/// Keys whose values are names in the configuration of Envoy.
const NAMED_BY_PROXY: [&str; 6] = [
    "generic_key",
    "header_match",
    "query_match",
    "source_cluster",
    "destination_cluster",
    "route_name",
];

/// Whether a value is a word such as `free`, and not a path, an address or a number.
fn is_word(value: &str) -> bool {
    let mut chars = value.chars();
    chars.next().is_some_and(char::is_alphabetic)
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

impl KeyNodesBuilder {
    fn has_only_exact(&self) -> bool {
        self.hashes.is_empty()
            && self.patterns.is_empty()
            && self.cidrs.is_empty()
            && self.wildcards.is_empty()
            && self.any.is_none()
    }

    fn add_cidrs(&mut self, matcher: &CidrMatcher, node: u32, report: &mut Report) {
        for cidr in &matcher.cidrs {
            if let Some((_, first)) = self.cidrs.get(&cidr.value) {
                report_duplicate("CIDR block", *first, cidr.position, report);
                continue;
            }
            let counter = matcher.counter(cidr.value);
            let target = CidrNode { counter, node };
            let at = report.file_position(cidr.position);
            self.cidrs.insert(cidr.value, (target, at));
        }
    }

    fn finish(self) -> KeyNodes {
        let exact = self.exact.into_iter();
        let has_matchers = !self.hashes.is_empty()
            || !self.patterns.is_empty()
            || !self.cidrs.is_empty()
            || !self.wildcards.is_empty();
        let hashes = self.hashes.into_iter();
        let cidrs = self.cidrs.into_iter();
        let wildcards = self
            .wildcards
            .into_iter()
            .map(|draft| (draft.wildcard, draft.target));
        KeyNodes {
            exact: exact
                .map(|(value, (node, _))| (value.as_bytes().into(), node))
                .collect(),
            any: self.any.map(|any| any.node),
            matchers: has_matchers.then(|| {
                Box::new(Matchers {
                    hashes: hashes.map(|(hash, origin)| (hash, origin.node)).collect(),
                    trie: self.trie,
                    patterns: self
                        .patterns
                        .into_iter()
                        .map(|(pattern, _)| pattern)
                        .collect(),
                    cidrs: CidrIndex::new(cidrs.map(|(cidr, (node, _))| (cidr, node)).collect()),
                    wildcards: WildcardIndex::new(wildcards.collect()),
                })
            }),
        }
    }
}

fn report_duplicate(
    what: &str,
    first: FilePosition,
    position: Option<Position>,
    report: &mut Report,
) {
    let mut message = format!("duplicate {what} at this level");
    if let Some(first) = report.describe(first) {
        message.push_str(&format!(", first {first}"));
    }
    report.add(PolicyCode::DuplicateDescriptor, position, message);
}

fn report_hashed_twice(hashed: Origin, clear: FilePosition, report: &mut Report) {
    hashed.report_within(report, |report| {
        let mut message = "duplicate value at this level".to_owned();
        if let Some(clear) = report.describe(clear) {
            message.push_str(&format!(", in plain text {clear}"));
        }
        report.add(PolicyCode::DuplicateDescriptor, hashed.at.position, message);
    });
}

fn report_unreachable(node: Origin, by: FilePosition, report: &mut Report) {
    node.report_within(report, |report| {
        let mut message =
            "this descriptor can never match: a wildcard of the same level".to_owned();
        if let Some(by) = report.describe(by) {
            message.push_str(&format!(", {by},"));
        }
        message.push_str(" matches all its values first");
        let help = "put the more specific one first, or remove it";
        report.add_with_help(PolicyCode::Unreachable, node.at.position, message, help);
    });
}
