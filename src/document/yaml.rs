//! YAML as a tree of nodes with positions.
//!
//! Built from parser events without recursion. Anchors are shared, merges are resolved, and repeated keys are found.
//! Messages quote at most a key.

mod builder;
mod merge;
mod node;
mod syntax;

use std::borrow::Cow;

use saphyr_parser::Parser;

use super::Report;
use builder::Builder;
pub use node::{Kind, Node, Pair, Style, Text, TextPlace};

/// The prefix that is added to a file that is JSON.
///
/// The parser treats a `{` at the start of a line as a possible key of a mapping, and keeps the tokens of the whole
/// file until that is decided: 35 bytes for each byte of the file.
const JSON_START: &str = "--- ";

/// Receives the elements of large lists while the tree is built, so that the tree does not contain them.
///
/// Such lists are values of one key: in the mapping at the root, and in mappings that are elements of such a list
/// themselves. Lists that an alias can refer to stay in the tree.
pub trait Elements {
    /// The key.
    fn key(&self) -> &str;

    /// Receives the next element of the list that is nested in `depth` others. The elements of the list inside it were
    /// passed before.
    fn push(&mut self, node: &Node, depth: usize, report: &mut Report);
}

/// Reads the only document of `text` that is not empty; `None` after a fault that ends the reading.
pub fn parse(text: &str, report: &mut Report) -> Option<Node> {
    read(text, None, report)
}

/// Like [`parse`], but the lists whose elements were passed to `elements` are empty.
pub fn parse_by_element(
    text: &str,
    elements: &mut dyn Elements,
    report: &mut Report,
) -> Option<Node> {
    read(text, Some(elements), report)
}

/// The text for the parser, and the number of characters that were added to its first line.
pub(super) fn prepare(text: &str) -> (Cow<'_, str>, usize) {
    if text.starts_with('{') {
        return (format!("{JSON_START}{text}").into(), JSON_START.len());
    }
    (text.into(), 0)
}

fn read<'r>(
    text: &'r str,
    elements: Option<&'r mut dyn Elements>,
    report: &'r mut Report,
) -> Option<Node> {
    let original = text;
    let (text, shift) = prepare(text);
    let mut builder = Builder::new(original, elements, shift, report);
    for event in Parser::new_from_str(&text) {
        if !builder.push(event) {
            return None;
        }
    }
    Some(builder.finish())
}
