//! Many wildcards of one level: the first in file order that matches a value.
//!
//! A wildcard is a prefix, the pieces between its stars, and a suffix. The wildcards of a level
//! form one tree: below each prefix, the pieces in their order. A search passes over the value
//! once, with an Aho-Corasick automaton of all pieces, and enters each node of the tree at the
//! earliest position possible. So its cost follows the length of the value and the number of
//! pieces found in it, not the number of wildcards.

mod chains;
mod search;

use std::collections::HashMap;

use aho_corasick::nfa::contiguous::NFA;
use foldhash::fast::RandomState;

use super::Wildcard;
use chains::Chains;
use search::Search;

/// Wildcards in file order, each with its target.
#[derive(Debug)]
pub(crate) struct WildcardIndex<T> {
    wildcards: Box<[(Wildcard, T)]>,
    tree: PieceTree,
}

/// The wildcards of a level by prefix, pieces and suffix. Nodes, pieces, suffixes and wildcards
/// are numbers; a wildcard's number is its position in the file.
#[derive(Debug)]
struct PieceTree {
    /// The node of each prefix.
    prefixes: Chains,
    /// The number of each suffix, by its reversed text.
    suffixes: Chains,
    /// The first wildcard that ends at a node and continues with a suffix.
    ends: HashMap<(u32, u32), u32, RandomState>,
    /// The node that a node leads to with a piece.
    children: HashMap<(u32, u32), u32, RandomState>,
    /// The pieces that a node continues with, and the nodes they lead to; prefixes excepted.
    next: HashMap<u32, Vec<(u32, u32)>, RandomState>,
    /// Finds pieces; none if no wildcard has any.
    automaton: Option<NFA>,
    /// The first wildcard that has pieces.
    first_with_pieces: u32,
}

impl<T> WildcardIndex<T> {
    pub(crate) fn new(wildcards: Vec<(Wildcard, T)>) -> Self {
        Self {
            tree: PieceTree::new(wildcards.iter().map(|(wildcard, _)| wildcard)),
            wildcards: wildcards.into(),
        }
    }

    /// All of them, in file order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Wildcard, T)> {
        self.wildcards.iter()
    }

    /// The first that matches.
    pub(crate) fn find(&self, value: &[u8]) -> Option<&(Wildcard, T)> {
        self.position(value).map(|at| &self.wildcards[at])
    }

    /// The position, in file order, of the first that matches.
    pub(crate) fn position(&self, value: &[u8]) -> Option<usize> {
        if self.wildcards.is_empty() {
            return None;
        }
        Search::new(&self.tree, value).first().map(|at| at as usize)
    }
}

impl PieceTree {
    fn new<'w>(wildcards: impl Iterator<Item = &'w Wildcard>) -> Self {
        let mut builder = PieceTreeBuilder::default();
        for (at, wildcard) in wildcards.enumerate() {
            builder.add(wildcard, at as u32);
        }
        builder.finish()
    }
}

#[derive(Debug, Default)]
struct PieceTreeBuilder<'w> {
    nodes: u32,
    prefixes: HashMap<&'w [u8], u32>,
    suffixes: HashMap<Box<[u8]>, u32>,
    pieces: HashMap<&'w [u8], u32>,
    /// Pieces by number.
    texts: Vec<&'w [u8]>,
    ends: HashMap<(u32, u32), u32, RandomState>,
    children: HashMap<(u32, u32), u32, RandomState>,
    next: HashMap<u32, Vec<(u32, u32)>, RandomState>,
    first_with_pieces: Option<u32>,
}

impl<'w> PieceTreeBuilder<'w> {
    fn add(&mut self, wildcard: &'w Wildcard, at: u32) {
        let nodes = &mut self.nodes;
        let mut new_node = || {
            *nodes += 1;
            *nodes - 1
        };
        let root = *self
            .prefixes
            .entry(wildcard.prefix())
            .or_insert_with(&mut new_node);
        let mut node = root;
        for piece in wildcard.pieces() {
            let texts = &mut self.texts;
            let piece = *self.pieces.entry(piece).or_insert_with(|| {
                texts.push(piece);
                texts.len() as u32 - 1
            });
            let next = &mut self.next;
            node = *self.children.entry((node, piece)).or_insert_with(|| {
                let child = new_node();
                if node != root {
                    next.entry(node).or_default().push((piece, child));
                }
                child
            });
            self.first_with_pieces.get_or_insert(at);
        }
        let fresh = self.suffixes.len() as u32;
        let suffix = wildcard.suffix().iter().rev().copied().collect();
        let suffix = *self.suffixes.entry(suffix).or_insert(fresh);
        // The first in file order comes first.
        self.ends.entry((node, suffix)).or_insert(at);
    }

    fn finish(self) -> PieceTree {
        let prefixes = self.prefixes.into_iter();
        let automaton = (!self.texts.is_empty()).then(|| {
            NFA::new(&self.texts).expect("fewer states than a policy file has bytes, below 2^31")
        });
        PieceTree {
            prefixes: Chains::new(prefixes.map(|(text, node)| (text.into(), node)).collect()),
            suffixes: Chains::new(self.suffixes.into_iter().collect()),
            ends: self.ends,
            children: self.children,
            next: self.next,
            automaton,
            first_with_pieces: self.first_with_pieces.unwrap_or(u32::MAX),
        }
    }
}
