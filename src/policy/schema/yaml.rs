//! YAML as a tree of nodes that know their place.
//!
//! Built from parser events without recursion. Anchors are shared, merges are resolved, repeated
//! keys are found. Nothing that is said here quotes more than a key.

mod builder;

use std::borrow::Cow;
use std::rc::Rc;

use saphyr_parser::Parser;

use crate::policy::Place;
use crate::policy::report::Report;
use builder::Builder;

/// Text that many nodes may share.
pub(crate) type Text = Rc<str>;

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar(Text, Style),
    List(Rc<[Node]>),
    Map(Rc<[Pair]>),
}

/// Whether a scalar's text alone says what it is, or its looks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
}

/// A key of a mapping and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: Text,
    pub(crate) style: Style,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// What is put before a file that is JSON.
///
/// The parser takes a `{` at the start of a line for what may become a key of a mapping, and then
/// holds the whole file as tokens until it knows better: 35 bytes for each of its own.
const JSON_START: &str = "--- ";

/// Who takes the elements of large lists while the tree is built, so that they need not be in it.
///
/// Such lists stand under one key: in the mapping at the root, and in mappings that are elements of such a list
/// themselves. Those that an alias can stand for are in the tree as ever.
pub(super) trait Elements {
    /// The key.
    fn key(&self) -> &str;

    /// Takes the next element of the list that stands in so many others. Those of the list in it came before.
    fn take(&mut self, node: &Node, depth: usize, report: &mut Report);
}

/// Reads the only document of `text`; none if there is no sense in going on.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    read(text, None, report)
}

/// The same, but the lists whose elements were taken are empty.
pub(super) fn parse_by_element(
    text: &str,
    elements: &mut dyn Elements,
    report: &mut Report,
) -> Option<Node> {
    read(text, Some(elements), report)
}

/// The text as the parser is given it, and how many characters longer its first line is.
pub(super) fn prepared(text: &str) -> (Cow<'_, str>, usize) {
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
    let (text, shift) = prepared(text);
    let mut builder = Builder::new(elements, shift, report);
    for event in Parser::new_from_str(&text) {
        if !builder.take(event) {
            return None;
        }
    }
    Some(builder.finish())
}
