//! One search for the first wildcard that matches a value.

use std::collections::{HashMap, HashSet};

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::PieceTree;
use crate::policy::matchers::count_step;

/// The state of a search. Positions are offsets into the value.
pub(super) struct Search<'t, 'v> {
    tree: &'t PieceTree,
    value: &'v [u8],
    /// The prefixes that the value begins with: their lengths and nodes, longest first.
    roots: SmallVec<[(usize, u32); 4]>,
    /// The suffixes that the value ends with: their lengths and numbers, longest first.
    suffixes: SmallVec<[(usize, u32); 4]>,
    /// Children of roots that were entered.
    entered: HashSet<u32, RandomState>,
    /// Pieces that no root waits for.
    spent: HashSet<u32, RandomState>,
    /// By piece, the nodes that it leads to, each with the end of the piece before.
    waiting: HashMap<u32, Vec<(u32, usize)>, RandomState>,
    /// The first wildcard in file order that matches, as far as is known.
    best: Option<u32>,
}

impl<'t, 'v> Search<'t, 'v> {
    pub(super) fn new(tree: &'t PieceTree, value: &'v [u8]) -> Self {
        Self {
            tree,
            value,
            roots: tree.prefixes.matching(value.iter()).collect(),
            suffixes: tree.suffixes.matching(value.iter().rev()).collect(),
            entered: HashSet::default(),
            spent: HashSet::default(),
            waiting: HashMap::default(),
            best: None,
        }
    }

    /// The number of the first wildcard in file order that matches.
    pub(super) fn first(mut self) -> Option<u32> {
        for (prefix_len, root) in std::mem::take(&mut self.roots) {
            self.end_at(root, prefix_len);
            self.roots.push((prefix_len, root));
        }
        if !self.suffixes.is_empty() && !self.roots.is_empty() {
            self.scan();
        }
        self.best
    }

    /// Passes over the value, until nothing that could be found comes before what was found.
    fn scan(&mut self) {
        let Some(automaton) = &self.tree.automaton else {
            return;
        };
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return;
        };
        for (at, byte) in self.value.iter().enumerate() {
            if self
                .best
                .is_some_and(|best| best <= self.tree.first_with_pieces)
            {
                return;
            }
            count_step();
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_match(state) {
                for index in 0..automaton.match_len(state) {
                    let piece = automaton.match_pattern(state, index);
                    let end = at + 1;
                    let start = end - automaton.pattern_len(piece);
                    self.found(piece.as_u32(), start, end);
                }
            }
        }
    }

    /// Enters the nodes that a piece leads to from where the search is.
    fn found(&mut self, piece: u32, start: usize, end: usize) {
        count_step();
        if !self.spent.contains(&piece) {
            let mut is_spent = true;
            for at in 0..self.roots.len() {
                count_step();
                let (prefix_len, root) = self.roots[at];
                match self.tree.children.get(&(root, piece)) {
                    Some(_) if start < prefix_len => is_spent = false,
                    Some(child) if self.entered.insert(*child) => self.enter(*child, end),
                    Some(_) | None => {}
                }
            }
            if is_spent {
                self.spent.insert(piece);
            }
        }
        if let Some(mut nodes) = self.waiting.remove(&piece) {
            let ready = nodes.extract_if(.., |(_, from)| *from <= start);
            let ready: SmallVec<[u32; 4]> = ready.map(|(node, _)| node).collect();
            if !nodes.is_empty() {
                self.waiting.insert(piece, nodes);
            }
            for node in ready {
                self.enter(node, end);
            }
        }
    }

    /// Enters a node whose last piece ends at `end`, for the first and only time.
    fn enter(&mut self, node: u32, end: usize) {
        self.end_at(node, end);
        for (piece, child) in self.tree.next.get(&node).into_iter().flatten() {
            count_step();
            self.waiting.entry(*piece).or_default().push((*child, end));
        }
    }

    /// Takes note of the wildcards whose pieces end with a node, at `end`.
    fn end_at(&mut self, node: u32, end: usize) {
        for (suffix_len, suffix) in &self.suffixes {
            count_step();
            if end + suffix_len <= self.value.len()
                && let Some(at) = self.tree.ends.get(&(node, *suffix))
                && self.best.is_none_or(|best| *at < best)
            {
                self.best = Some(*at);
            }
        }
    }
}
