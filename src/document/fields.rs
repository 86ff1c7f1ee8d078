//! Mappings and lists, and the finding for a node of another type.

use super::yaml11::{Scalar, resolve};
use super::{DocumentCode, Kind, Node, Pair, Report, Style};

/// The pairs of a mapping; `None` and a finding for any other node.
pub fn mapping<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Pair]> {
    match &node.kind {
        Kind::Map(pairs) => Some(pairs),
        _ => {
            let help = match &node.kind {
                Kind::List(_) => "write `key: value`, without the `-`",
                _ => "write `key: value` on lines of their own, or `{key: value}`",
            };
            wrong_type_with_help(node, "a mapping", help, report);
            None
        }
    }
}

/// The elements of a list; `None` and a finding for any other node.
pub fn list<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(nodes) => Some(nodes),
        _ => {
            let help = match &node.kind {
                Kind::Map(_) => "begin each element with `- `, such as `- key: name`",
                _ => "write each element on a line that begins with `- `, or `[a, b]`",
            };
            wrong_type_with_help(node, "a list", help, report);
            None
        }
    }
}

/// Reports that a node has the wrong type. The node is named by its kind, never quoted.
pub fn wrong_type(node: &Node, expected: &str, report: &mut Report) {
    wrong_type_with_help(
        node,
        expected,
        DocumentCode::WrongType.code().help(),
        report,
    );
}

/// The same, with help of its own.
pub fn wrong_type_with_help(node: &Node, expected: &str, help: &str, report: &mut Report) {
    let found = match &node.kind {
        Kind::Map(_) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Scalar(..) if node.is_null() => "null",
        Kind::Scalar(_, Style::Quoted(_)) => "text in quotes",
        Kind::Scalar(text, _) => match resolve(text) {
            Scalar::Bool(_) => "true or false",
            Scalar::Number(number) if !number.as_f64().is_finite() => "infinity or NaN",
            Scalar::Number(_) => "a number",
            Scalar::Null | Scalar::Text => "text",
        },
    };
    let message = format!("expected {expected}, found {found}");
    report.add_with_help(DocumentCode::WrongType, Some(node.position), message, help);
}
