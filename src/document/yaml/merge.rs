//! `<<` in a mapping: adds the keys of another mapping that it does not have itself.

use std::collections::HashSet;

use super::{Kind, Node, Pair, Style, Text};
use crate::document::{DocumentCode, Report};

/// The pairs with all merges resolved; the first pair of a key is kept.
pub(super) fn merged(pairs: Vec<Pair>, report: &mut Report) -> Vec<Pair> {
    let is_merge = |pair: &Pair| pair.style == Style::Plain && &*pair.key == "<<";
    if !pairs.iter().any(is_merge) {
        return pairs;
    }
    let (merges, mut own): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(is_merge);
    let mut present: HashSet<Text> = own.iter().map(|pair| pair.key.clone()).collect();
    for merge in &merges {
        let nodes = match &merge.node.kind {
            Kind::List(nodes) => nodes,
            _ => std::slice::from_ref(&merge.node),
        };
        for node in nodes {
            add(node, &mut own, &mut present, report);
        }
    }
    own
}

fn add(from: &Node, own: &mut Vec<Pair>, present: &mut HashSet<Text>, report: &mut Report) {
    let Kind::Map(pairs) = &from.kind else {
        let message = "`<<` must be a mapping or a list of mappings";
        report.add(DocumentCode::InvalidMerge, Some(from.position), message);
        return;
    };
    for pair in pairs.iter() {
        if present.insert(pair.key.clone()) {
            own.push(pair.clone());
        }
    }
}
