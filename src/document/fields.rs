//! Mappings and lists, and the finding for a node of another type.

use super::{DocumentCode, Kind, Node, Pair, Report};

/// The pairs of a mapping; `None` and a finding for any other node.
pub fn mapping<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Pair]> {
    match &node.kind {
        Kind::Map(pairs) => Some(pairs),
        _ => {
            wrong_type(node, "a mapping", report);
            None
        }
    }
}

/// The elements of a list; `None` and a finding for any other node.
pub fn list<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(nodes) => Some(nodes),
        _ => {
            wrong_type(node, "a list", report);
            None
        }
    }
}

/// Reports that a node has the wrong type. The node is named by its kind, never quoted.
pub fn wrong_type(node: &Node, expected: &str, report: &mut Report) {
    let found = match node.kind {
        Kind::Map(_) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Scalar(..) if node.is_null() => "null",
        Kind::Scalar(..) => "a scalar",
    };
    let message = format!("expected {expected}, found {found}");
    report.add(DocumentCode::WrongType, Some(node.position), message);
}
