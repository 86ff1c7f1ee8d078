//! One level of the tree while it is put together: duplicates, and what can never match.

use std::collections::HashMap;

use super::matcher::{BlocksMatcher, Matcher};
use crate::policy::block::{Block, BlockIndex};
use crate::policy::glob::{Glob, GlobIndex};
use crate::policy::hash::Hash;
use crate::policy::pattern::PatternTrie;
use crate::policy::report::{Report, Spot, Step};
use crate::policy::schema::{Spanned, Text};
use crate::policy::tree::{BlockNode, ByShape, Choice, GlobNode, Level, PatternNode};
use crate::policy::{Code, Place};

/// The nodes of one level, by key.
#[derive(Debug, Default)]
pub(super) struct Draft {
    keys: HashMap<Text, KeyDraft>,
}

/// The nodes of one key.
#[derive(Debug, Default)]
struct KeyDraft {
    exact: HashMap<Text, (u32, Spot)>,
    hashes: HashMap<Hash, Origin>,
    trie: PatternTrie,
    patterns: Vec<(PatternNode, Spot)>,
    blocks: HashMap<Block, (BlockNode, Spot)>,
    globs: Vec<GlobDraft>,
    glob_texts: HashMap<Box<[u8]>, Spot>,
    any: Option<Origin>,
}

#[derive(Debug)]
struct GlobDraft {
    glob: Glob,
    target: GlobNode,
    origin: Origin,
}

/// A node and the descriptor it comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    node: u32,
    index: usize,
    spot: Spot,
}

impl Draft {
    /// Adds a node, which comes from the descriptor at `index`, unless its values are taken.
    pub(super) fn add(
        &mut self,
        key: &Spanned<Text>,
        matcher: Matcher,
        (node, index): (u32, usize),
        report: &mut Report,
    ) {
        let draft = self.keys.entry(key.value.clone()).or_default();
        match matcher {
            Matcher::Exact(values) => {
                for value in values {
                    if let Some((_, first)) = draft.exact.get(&value.value) {
                        say_duplicate("value", *first, value.place, report);
                    } else {
                        let spot = report.spot(value.place);
                        draft.exact.insert(value.value, (node, spot));
                    }
                }
            }
            Matcher::Hash(hash) => match draft.hashes.get(&hash.value) {
                Some(first) => say_duplicate("value", first.spot, hash.place, report),
                None => {
                    let spot = report.spot(hash.place);
                    draft
                        .hashes
                        .insert(hash.value, Origin { node, index, spot });
                }
            },
            Matcher::Blocks(matcher) => draft.add_blocks(&matcher, node, report),
            Matcher::Pattern(matcher) => {
                let target = draft.patterns.len() as u32;
                if let Err(taken) = draft.trie.insert(&matcher.pattern, target) {
                    let first = draft.patterns[taken as usize].1;
                    say_duplicate("pattern", first, matcher.place, report);
                }
                let pattern = PatternNode {
                    text: matcher.pattern.text,
                    count_by: matcher.count_by,
                    node,
                };
                draft.patterns.push((pattern, report.spot(matcher.place)));
            }
            Matcher::Glob(matcher) => {
                if let Some(first) = draft.glob_texts.get(matcher.glob.text()) {
                    say_duplicate("wildcard", *first, matcher.place, report);
                    return;
                }
                let spot = report.spot(matcher.place);
                draft.glob_texts.insert(matcher.glob.text().into(), spot);
                draft.globs.push(GlobDraft {
                    glob: matcher.glob,
                    target: GlobNode {
                        is_shared: matcher.is_shared,
                        node,
                    },
                    origin: Origin { node, index, spot },
                });
            }
            Matcher::Any => match draft.any {
                Some(first) => say_duplicate("key without a value", first.spot, key.place, report),
                None => {
                    let spot = report.spot(key.place);
                    draft.any = Some(Origin { node, index, spot });
                }
            },
        }
    }

    /// Refuses hashes of values that the same level has in clear.
    pub(super) fn find_hashed_twice(&self, report: &mut Report) {
        for draft in self.keys.values().filter(|draft| !draft.hashes.is_empty()) {
            for (value, (_, clear)) in &draft.exact {
                if let Some(origin) = draft.hashes.get(&Hash::of(value.as_bytes())) {
                    say_hashed_twice(*origin, *clear, report);
                }
            }
        }
    }

    /// Warns of nodes that something before them always takes the values of.
    pub(super) fn find_unreachable(&self, report: &mut Report) {
        for draft in self.keys.values().filter(|draft| !draft.globs.is_empty()) {
            let index = draft.globs.iter().map(|draft| (draft.glob.clone(), ()));
            let index = GlobIndex::new(index.collect());
            for (at, glob) in draft.globs.iter().enumerate() {
                // A wildcard that fits the text of another one fits all that the other does.
                if let Some(first) = index.position(glob.glob.text()).filter(|first| *first < at) {
                    say_unreachable(glob.origin, draft.globs[first].origin.spot, report);
                }
            }
            let is_all = |draft: &&GlobDraft| draft.glob.text().iter().all(|b| *b == b'*');
            let all = draft.globs.iter().find(is_all);
            if let (Some(all), Some(any)) = (all, draft.any) {
                say_unreachable(any, all.origin.spot, report);
            }
        }
    }

    pub(super) fn finish(self) -> Level {
        let keys = self.keys.into_iter();
        Level {
            keys: keys
                .map(|(key, draft)| (key.as_bytes().into(), draft.finish()))
                .collect(),
        }
    }
}

impl KeyDraft {
    fn add_blocks(&mut self, matcher: &BlocksMatcher, node: u32, report: &mut Report) {
        for block in &matcher.blocks {
            if let Some((_, first)) = self.blocks.get(&block.value) {
                say_duplicate("block", *first, block.place, report);
                continue;
            }
            let shared = matcher.is_shared.then(|| block.value.to_string().into());
            let target = BlockNode { shared, node };
            let spot = report.spot(block.place);
            self.blocks.insert(block.value, (target, spot));
        }
    }

    fn finish(self) -> Choice {
        let exact = self.exact.into_iter();
        let has_shapes = !self.hashes.is_empty()
            || !self.patterns.is_empty()
            || !self.blocks.is_empty()
            || !self.globs.is_empty();
        let hashes = self.hashes.into_iter();
        let blocks = self.blocks.into_iter();
        let globs = self
            .globs
            .into_iter()
            .map(|draft| (draft.glob, draft.target));
        Choice {
            exact: exact
                .map(|(value, (node, _))| (value.as_bytes().into(), node))
                .collect(),
            any: self.any.map(|any| any.node),
            by_shape: has_shapes.then(|| {
                Box::new(ByShape {
                    hashes: hashes.map(|(hash, origin)| (hash, origin.node)).collect(),
                    trie: self.trie,
                    patterns: self
                        .patterns
                        .into_iter()
                        .map(|(pattern, _)| pattern)
                        .collect(),
                    blocks: BlockIndex::new(
                        blocks.map(|(block, (node, _))| (block, node)).collect(),
                    ),
                    globs: GlobIndex::new(globs.collect()),
                })
            }),
        }
    }
}

fn say_duplicate(what: &str, first: Spot, place: Option<Place>, report: &mut Report) {
    let mut message = format!("the same {what} stands twice at this level");
    if let Some(first) = report.words_for(first) {
        message.push_str(&format!(", first {first}"));
    }
    report.say(Code::DuplicateDescriptor, place, message);
}

fn say_hashed_twice(hashed: Origin, clear: Spot, report: &mut Report) {
    report.turn_to(hashed.spot.file);
    let mut message = "the same value stands twice at this level".to_owned();
    if let Some(clear) = report.words_for(clear) {
        message.push_str(&format!(", in clear {clear}"));
    }
    report.within(Step::Index(hashed.index), |report| {
        report.say(Code::DuplicateDescriptor, hashed.spot.place, message);
    });
}

fn say_unreachable(node: Origin, by: Spot, report: &mut Report) {
    report.turn_to(node.spot.file);
    let mut message = "this descriptor can never match: a wildcard of its level".to_owned();
    if let Some(by) = report.words_for(by) {
        message.push_str(&format!(", {by},"));
    }
    message.push_str(" takes all its values first");
    let hint = "put the narrower one first, or remove it";
    report.within(Step::Index(node.index), |report| {
        report.hint(Code::Unreachable, node.spot.place, (message, hint));
    });
}
