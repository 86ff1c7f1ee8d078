//! Scalars where a type is expected.

use super::fields::wrong_type_with_help;
use super::yaml11::{self, Number, Scalar, resolve};
use super::{
    DocumentCode, Field, Kind, Node, Report, Spanned, Style, Text, is_placeholder, list, wrong_type,
};

impl Node {
    /// Whether it is null or empty.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar(text, Style::Plain) => resolve(text) == Scalar::Null,
            _ => false,
        }
    }
}

/// Text as written, even if it looks like a number; absent if it is null or empty.
pub fn text(node: &Node, report: &mut Report) -> Field<Text> {
    match &node.kind {
        Kind::Scalar(text, _) if text.is_empty() || node.is_null() => Field::Absent,
        Kind::Scalar(text, _) => Field::Given(spanned(node, text.clone())),
        _ => {
            wrong_type(node, "text", report);
            Field::Invalid
        }
    }
}

/// Text as written; null is a fault and not the same as leaving the key out.
pub fn written(node: &Node, report: &mut Report) -> Field<Text> {
    match &node.kind {
        Kind::Scalar(text, _) if !node.is_null() => Field::Given(spanned(node, text.clone())),
        _ => {
            wrong_type(node, "text", report);
            Field::Invalid
        }
    }
}

/// A list of texts, each as written; other elements are reported and left out.
pub fn texts(node: &Node, report: &mut Report) -> Field<Vec<Spanned<Text>>> {
    let Some(nodes) = list(node, report) else {
        return Field::Invalid;
    };
    let mut texts = Vec::with_capacity(nodes.len());
    for node in nodes {
        match text(node, report) {
            Field::Given(text) => texts.push(text),
            Field::Absent => wrong_type(node, "text", report),
            Field::Invalid => {}
        }
    }
    if texts.is_empty() && !nodes.is_empty() {
        return Field::Invalid;
    }
    Field::Given(spanned(node, texts))
}

/// A text, or a list of them.
pub fn one_or_more(node: &Node, report: &mut Report) -> Field<Vec<Spanned<Text>>> {
    if matches!(node.kind, Kind::List(_)) {
        return texts(node, report);
    }
    match written(node, report) {
        Field::Given(text) => Field::Given(spanned(node, vec![text])),
        Field::Absent => Field::Absent,
        Field::Invalid => Field::Invalid,
    }
}

/// A boolean, in any spelling of YAML 1.1.
pub fn boolean(node: &Node, report: &mut Report) -> Option<bool> {
    if let Kind::Scalar(text, Style::Plain) = &node.kind
        && let Scalar::Bool(value) = resolve(text)
    {
        return Some(value);
    }
    let help = match &node.kind {
        Kind::Scalar(text, Style::Quoted(_)) if matches!(resolve(text), Scalar::Bool(_)) => {
            "leave out the quotes"
        }
        _ => "write `true` or `false`",
    };
    wrong_type_with_help(node, "true or false", help, report);
    None
}

/// Whether a boolean is true; `false` for an invalid one, which is reported.
pub fn is_set(node: &Node, report: &mut Report) -> bool {
    boolean(node, report) == Some(true)
}

/// A whole number, or a list of them.
pub fn numbers(node: &Node, report: &mut Report) -> Field<Vec<Spanned<u32>>> {
    let single = [node];
    let nodes: Vec<&Node> = match &node.kind {
        Kind::List(_) => list(node, report).unwrap_or_default().iter().collect(),
        _ => single.into(),
    };
    let mut numbers = Vec::with_capacity(nodes.len());
    for one in &nodes {
        match number(one, report) {
            Field::Given(number) => numbers.push(number),
            Field::Absent => wrong_type(one, "a whole number", report),
            Field::Invalid => {}
        }
    }
    if numbers.len() < nodes.len() {
        return Field::Invalid;
    }
    Field::Given(spanned(node, numbers))
}

/// A whole number from 0 to 2³²−1.
pub fn number(node: &Node, report: &mut Report) -> Field<u32> {
    let Kind::Scalar(text, Style::Plain) = &node.kind else {
        return not_a_number(node, report);
    };
    let is_simple = (1..=9).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0');
    if is_simple && let Ok(number) = text.parse() {
        return Field::Given(spanned(node, number));
    }
    let Scalar::Number(number) = resolve(text) else {
        return not_a_number(node, report);
    };
    let fault = match whole(number) {
        Some(number) if number < 0 => "the number is negative",
        Some(number) => match u32::try_from(number) {
            Ok(number) => return Field::Given(spanned(node, number)),
            Err(_) => "the number is more than 4294967295",
        },
        None => "the number must be whole",
    };
    report.add(DocumentCode::InvalidNumber, Some(node.position), fault);
    Field::Invalid
}

/// The number, if it is whole: `1e3` is.
fn whole(number: Number) -> Option<i128> {
    match number {
        Number::Whole(number) => Some(number),
        Number::Float(number) => (number.fract() == 0.0).then_some(number as i128),
    }
}

fn not_a_number(node: &Node, report: &mut Report) -> Field<u32> {
    let help = match &node.kind {
        Kind::Scalar(text, Style::Quoted(_)) if yaml11::is_number(text) => "leave out the quotes",
        Kind::Scalar(text, _) if is_placeholder(text) => {
            "replace the placeholder before the file is loaded"
        }
        _ => "write only digits, such as `100`",
    };
    wrong_type_with_help(node, "a whole number", help, report);
    Field::Invalid
}

fn spanned<T>(node: &Node, value: T) -> Spanned<T> {
    Spanned {
        value,
        position: Some(node.position),
    }
}
