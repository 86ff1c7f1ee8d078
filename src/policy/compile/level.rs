//! One level of the tree while it is put together: duplicates, and what can never match.

use std::collections::HashMap;

use super::matcher::{CidrMatcher, Matcher};
use crate::document::{FilePosition, PathElement, Position, Report, Spanned, Text};
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

/// A node and the descriptor it comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    node: u32,
    index: usize,
    spot: FilePosition,
}

impl LevelBuilder {
    /// Adds a node, which comes from the descriptor at `index`, unless its values are taken.
    pub(super) fn add(
        &mut self,
        key: &Spanned<Text>,
        matcher: Matcher,
        (node, index): (u32, usize),
        report: &mut Report,
    ) {
        let builder = self.keys.entry(key.value.clone()).or_default();
        match matcher {
            Matcher::Exact(values) => {
                for value in values {
                    if let Some((_, first)) = builder.exact.get(&value.value) {
                        say_duplicate("value", *first, value.position, report);
                    } else {
                        let spot = report.file_position(value.position);
                        builder.exact.insert(value.value, (node, spot));
                    }
                }
            }
            Matcher::Sha256(hash) => match builder.hashes.get(&hash.value) {
                Some(first) => say_duplicate("value", first.spot, hash.position, report),
                None => {
                    let spot = report.file_position(hash.position);
                    builder
                        .hashes
                        .insert(hash.value, Origin { node, index, spot });
                }
            },
            Matcher::Cidr(matcher) => builder.add_cidrs(&matcher, node, report),
            Matcher::Pattern(matcher) => {
                let target = builder.patterns.len() as u32;
                if let Err(taken) = builder.trie.insert(&matcher.pattern, target) {
                    let first = builder.patterns[taken as usize].1;
                    say_duplicate("pattern", first, matcher.position, report);
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
                    say_duplicate("wildcard", *first, matcher.position, report);
                    return;
                }
                let spot = report.file_position(matcher.position);
                builder
                    .wildcard_texts
                    .insert(matcher.wildcard.text().into(), spot);
                builder.wildcards.push(WildcardDraft {
                    wildcard: matcher.wildcard,
                    target: WildcardNode {
                        is_shared: matcher.is_shared,
                        node,
                    },
                    origin: Origin { node, index, spot },
                });
            }
            Matcher::Any => match builder.any {
                Some(first) => {
                    say_duplicate("key without a value", first.spot, key.position, report)
                }
                None => {
                    let spot = report.file_position(key.position);
                    builder.any = Some(Origin { node, index, spot });
                }
            },
        }
    }

    /// Refuses hashes of values that the same level has in clear.
    pub(super) fn find_hashed_twice(&self, report: &mut Report) {
        for builder in self
            .keys
            .values()
            .filter(|builder| !builder.hashes.is_empty())
        {
            for (value, (_, clear)) in &builder.exact {
                if let Some(origin) = builder.hashes.get(&Sha256Hash::of(value.as_bytes())) {
                    say_hashed_twice(*origin, *clear, report);
                }
            }
        }
    }

    /// Warns of nodes that something before them always takes the values of.
    pub(super) fn find_unreachable(&self, report: &mut Report) {
        for builder in self
            .keys
            .values()
            .filter(|builder| !builder.wildcards.is_empty())
        {
            let index = builder
                .wildcards
                .iter()
                .map(|builder| (builder.wildcard.clone(), ()));
            let index = WildcardIndex::new(index.collect());
            for (at, wildcard) in builder.wildcards.iter().enumerate() {
                // A wildcard that fits the text of another one fits all that the other does.
                if let Some(first) = index
                    .position(wildcard.wildcard.text())
                    .filter(|first| *first < at)
                {
                    say_unreachable(
                        wildcard.origin,
                        builder.wildcards[first].origin.spot,
                        report,
                    );
                }
            }
            let is_all =
                |builder: &&WildcardDraft| builder.wildcard.text().iter().all(|b| *b == b'*');
            let all = builder.wildcards.iter().find(is_all);
            if let (Some(all), Some(any)) = (all, builder.any) {
                say_unreachable(any, all.origin.spot, report);
            }
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

impl KeyNodesBuilder {
    fn add_cidrs(&mut self, matcher: &CidrMatcher, node: u32, report: &mut Report) {
        for cidr in &matcher.cidrs {
            if let Some((_, first)) = self.cidrs.get(&cidr.value) {
                say_duplicate("cidr", *first, cidr.position, report);
                continue;
            }
            let shared = matcher.is_shared.then(|| cidr.value.to_string().into());
            let target = CidrNode { shared, node };
            let spot = report.file_position(cidr.position);
            self.cidrs.insert(cidr.value, (target, spot));
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
            .map(|builder| (builder.wildcard, builder.target));
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

fn say_duplicate(what: &str, first: FilePosition, position: Option<Position>, report: &mut Report) {
    let mut message = format!("the same {what} stands twice at this level");
    if let Some(first) = report.describe(first) {
        message.push_str(&format!(", first {first}"));
    }
    report.add(PolicyCode::DuplicateDescriptor, position, message);
}

fn say_hashed_twice(hashed: Origin, clear: FilePosition, report: &mut Report) {
    report.set_file(hashed.spot.file);
    let mut message = "the same value stands twice at this level".to_owned();
    if let Some(clear) = report.describe(clear) {
        message.push_str(&format!(", in clear {clear}"));
    }
    report.within(PathElement::Index(hashed.index), |report| {
        report.add(
            PolicyCode::DuplicateDescriptor,
            hashed.spot.position,
            message,
        );
    });
}

fn say_unreachable(node: Origin, by: FilePosition, report: &mut Report) {
    report.set_file(node.spot.file);
    let mut message = "this descriptor can never match: a wildcard of its level".to_owned();
    if let Some(by) = report.describe(by) {
        message.push_str(&format!(", {by},"));
    }
    message.push_str(" takes all its values first");
    let hint = "put the narrower one first, or remove it";
    report.within(PathElement::Index(node.index), |report| {
        report.add_with_hint(PolicyCode::Unreachable, node.spot.position, message, hint);
    });
}
