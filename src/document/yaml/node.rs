//! Nodes of a YAML document.

use std::rc::Rc;

use crate::document::{Position, Spanned};

/// Text that many nodes may share.
pub type Text = Rc<str>;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The position of its first character.
    pub position: Position,
    /// Its content.
    pub kind: Kind,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar as it is written, without quotes.
    Scalar(Text, Style),
    /// A list.
    List(Rc<[Node]>),
    /// A mapping, with merges resolved and without repeated keys.
    Map(Rc<[Pair]>),
}

/// Whether the type of a scalar depends on its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: `5` is a number.
    Plain,
    /// Quoted, a block scalar, or tagged as text: always text.
    Quoted(TextPlace),
}

/// Whether the text of a scalar is in the file to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPlace {
    /// On one line, between the quotes at both ends of the node.
    InQuotes,
    /// From the first character of the node; further lines begin in the same column.
    InBlock,
    /// Not so: it has escape sequences, or lines that are joined.
    Rewritten,
}

impl Node {
    /// The position of the first character of a text that is in the file to the letter.
    pub fn text_position(&self) -> Option<Position> {
        let Position { line, column } = self.position;
        match self.kind {
            Kind::Scalar(_, Style::Quoted(TextPlace::InQuotes)) => Some(Position {
                line,
                column: column + 1,
            }),
            Kind::Scalar(_, Style::Quoted(TextPlace::InBlock)) => Some(self.position),
            _ => None,
        }
    }
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The key.
    pub key: Text,
    /// How the key is written.
    pub style: Style,
    /// The position of the key.
    pub position: Position,
    /// The value.
    pub node: Node,
}

impl Pair {
    /// A value with the position of this key.
    pub fn at_key<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            value,
            position: Some(self.position),
        }
    }
}
