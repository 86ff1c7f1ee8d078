//! Scalars where a type is expected.
//!
//! serde_yaml resolves plain scalars, except obvious text and short numbers, which do not need it.

use serde_yaml::Value;

use super::{DocumentCode, Field, Kind, Node, Report, Spanned, Style, Text, list, wrong_type};

impl Node {
    /// Whether it is null or empty.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar(text, Style::Plain) => is_null(text),
            _ => false,
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    const LONGEST: usize = 64;
    let can_be_other_than_text =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '~');
    if text.len() > LONGEST || !text.chars().all(can_be_other_than_text) {
        return Value::String(text.to_owned());
    }
    match serde_yaml::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        // serde_yaml reads `---` as an empty document.
        Ok(Value::Null) if is_null(text) => Value::Null,
        _ => Value::String(text.to_owned()),
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
    const TRUE: [&str; 11] = [
        "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y",
    ];
    const FALSE: [&str; 11] = [
        "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N",
    ];
    match &node.kind {
        Kind::Scalar(text, Style::Plain) if TRUE.contains(&&**text) => Some(true),
        Kind::Scalar(text, Style::Plain) if FALSE.contains(&&**text) => Some(false),
        _ => {
            wrong_type(node, "true or false", report);
            None
        }
    }
}

/// Whether a boolean is true; `false` for an invalid one, which is reported.
pub fn is_set(node: &Node, report: &mut Report) -> bool {
    boolean(node, report) == Some(true)
}

const TOO_LARGE: &str = "the number is more than 4294967295";

/// A whole number from 0 to 2³²−1.
pub fn number(node: &Node, report: &mut Report) -> Field<u32> {
    let Kind::Scalar(text, Style::Plain) = &node.kind else {
        wrong_type(node, "a whole number", report);
        return Field::Invalid;
    };
    let is_simple = (1..=9).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0');
    let fault = if is_simple && let Ok(number) = text.parse() {
        return Field::Given(spanned(node, number));
    } else {
        match resolve(text) {
            Value::Number(number) => match number.as_u64().map(u32::try_from) {
                Some(Ok(number)) => return Field::Given(spanned(node, number)),
                Some(Err(_)) => TOO_LARGE,
                None if number.is_i64() => "the number is negative",
                None => "the number must be whole",
            },
            // serde_yaml reads digits beyond 64 bits as text.
            _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => TOO_LARGE,
            _ => {
                wrong_type(node, "a whole number", report);
                return Field::Invalid;
            }
        }
    };
    report.add(DocumentCode::InvalidNumber, Some(node.position), fault);
    Field::Invalid
}

fn spanned<T>(node: &Node, value: T) -> Spanned<T> {
    Spanned {
        value,
        position: Some(node.position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_resolved_as_in_serde_yaml() {
        assert_eq!(resolve("0x10"), Value::from(16));
        assert_eq!(resolve("1.5"), Value::from(1.5));
        assert_eq!(resolve("~"), Value::Null);
        assert_eq!(resolve("true"), Value::Bool(true));
        assert_eq!(resolve("010"), Value::from("010"));
        assert_eq!(resolve("yes"), Value::from("yes"));
        assert_eq!(resolve("a: b"), Value::from("a: b"));
        assert_eq!(resolve("-"), Value::from("-"));
        assert_eq!(resolve("---"), Value::from("---"));
    }

    #[test]
    fn short_digits_are_resolved_as_in_serde_yaml() {
        for text in ["1", "9", "10", "999999999"] {
            assert_eq!(resolve(text), Value::from(text.parse::<u32>().unwrap()));
        }
    }
}
