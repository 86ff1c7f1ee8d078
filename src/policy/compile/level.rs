//! One level of the tree while it is put together: duplicates, and what can never match.

use std::collections::HashMap;

use super::matcher::{BlocksMatcher, Matcher};
use crate::policy::block::{Block, BlockIndex};
use crate::policy::glob::{Glob, GlobIndex};
use crate::policy::hash::Hash;
use crate::policy::pattern::PatternTrie;
use crate::policy::report::{Report, Step};
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
    exact: HashMap<Text, (u32, Option<Place>)>,
    hashes: HashMap<Hash, Origin>,
    trie: PatternTrie,
    patterns: Vec<(PatternNode, Option<Place>)>,
    blocks: HashMap<Block, (BlockNode, Option<Place>)>,
    globs: Vec<GlobDraft>,
    glob_texts: HashMap<Box<[u8]>, Option<Place>>,
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
    place: Option<Place>,
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
                        draft.exact.insert(value.value, (node, value.place));
                    }
                }
            }
            Matcher::Hash(hash) => match draft.hashes.get(&hash.value) {
                Some(first) => say_duplicate("value", first.place, hash.place, report),
                None => {
                    let place = hash.place;
                    draft
                        .hashes
                        .insert(hash.value, Origin { node, index, place });
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
                draft.patterns.push((pattern, matcher.place));
            }
            Matcher::Glob(matcher) => {
                if let Some(first) = draft.glob_texts.get(matcher.glob.text()) {
                    say_duplicate("wildcard", *first, matcher.place, report);
                    return;
                }
                let place = matcher.place;
                draft.glob_texts.insert(matcher.glob.text().into(), place);
                draft.globs.push(GlobDraft {
                    glob: matcher.glob,
                    target: GlobNode {
                        is_shared: matcher.is_shared,
                        node,
                    },
                    origin: Origin { node, index, place },
                });
            }
            Matcher::Any => match draft.any {
                Some(first) => say_duplicate("key without a value", first.place, key.place, report),
                None => {
                    let place = key.place;
                    draft.any = Some(Origin { node, index, place });
                }
            },
        }
    }

    /// Refuses hashes of values that the same level has in clear.
    pub(super) fn find_hashed_twice(&self, report: &mut Report) {
        for draft in self.keys.values().filter(|draft| !draft.hashes.is_empty()) {
            for (value, (_, place)) in &draft.exact {
                if let Some(origin) = draft.hashes.get(&Hash::of(value.as_bytes())) {
                    let line = place.map_or(String::new(), |place| {
                        format!(", in clear on line {}", place.line)
                    });
                    let message = format!("the same value stands twice at this level{line}");
                    report.within(Step::Index(origin.index), |report| {
                        report.say(Code::DuplicateDescriptor, origin.place, message);
                    });
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
                    say_unreachable(glob.origin, draft.globs[first].origin.place, report);
                }
            }
            let is_all = |draft: &&GlobDraft| draft.glob.text().iter().all(|b| *b == b'*');
            let all = draft.globs.iter().find(is_all);
            if let (Some(all), Some(any)) = (all, draft.any) {
                say_unreachable(any, all.origin.place, report);
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
            self.blocks.insert(block.value, (target, block.place));
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

fn say_duplicate(what: &str, first: Option<Place>, place: Option<Place>, report: &mut Report) {
    let mut message = format!("the same {what} stands twice at this level");
    if let Some(first) = first {
        message.push_str(&format!(", first on line {}", first.line));
    }
    report.say(Code::DuplicateDescriptor, place, message);
}

fn say_unreachable(node: Origin, by: Option<Place>, report: &mut Report) {
    let mut message = "this descriptor can never match: a wildcard of its level".to_owned();
    if let Some(by) = by {
        message.push_str(&format!(", on line {},", by.line));
    }
    message.push_str(" takes all its values first");
    let hint = "put the narrower one first, or remove it";
    report.within(Step::Index(node.index), |report| {
        report.hint(Code::Unreachable, node.place, (message, hint));
    });
}
