//! YAML as a tree of nodes with positions.
//!
//! Built from parser events without recursion. Anchors are shared, merges are resolved, and repeated keys are found.
//! Messages quote at most a key.

mod builder;
mod merge;
mod node;

use std::borrow::Cow;

use saphyr_parser::Parser;

use super::Report;
use builder::Builder;
pub use node::{Kind, Node, Pair, Style, Text};

/// What is put before a file that is JSON.
///
/// The parser takes a `{` at the start of a line for what may become a key of a mapping, and then
/// holds the whole file as tokens until it knows better: 35 bytes for each of its own.
const JSON_START: &str = "--- ";

/// Who takes the elements of large lists while the tree is built, so that they need not be in it.
///
/// Such lists stand under one key: in the mapping at the root, and in mappings that are elements of such a list
/// themselves. Those that an alias can stand for are in the tree as ever.
pub trait Elements {
    /// The key.
    fn key(&self) -> &str;

    /// Takes the next element of the list that stands in so many others. Those of the list in it came before.
    fn take(&mut self, node: &Node, depth: usize, report: &mut Report);
}

/// Reads the only document of `text`; none if there is no sense in going on.
pub fn parse(text: &str, report: &mut Report) -> Option<Node> {
    read(text, None, report)
}

/// The same, but the lists whose elements were taken are empty.
pub fn parse_by_element(
    text: &str,
    elements: &mut dyn Elements,
    report: &mut Report,
) -> Option<Node> {
    read(text, Some(elements), report)
}

/// The text as the parser is given it, and how many characters longer its first line is.
pub(super) fn prepare(text: &str) -> (Cow<'_, str>, usize) {
    if text.starts_with('{') {
        return (format!("{JSON_START}{text}").into(), JSON_START.len());
    }
    (text.into(), 0)
}

fn read<'r>(
    text: &str,
    elements: Option<&'r mut dyn Elements>,
    report: &'r mut Report,
) -> Option<Node> {
    let (text, shift) = prepare(text);
    let mut builder = Builder::new(elements, shift, report);
    for event in Parser::new_from_str(&text) {
        if !builder.take(event) {
            return None;
        }
    }
    Some(builder.finish())
}
