//! The parser of templates.

use super::Operator;

/// Literal text, or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplatePiece {
    Text(Box<str>),
    Operator(Operator),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// A `%` that neither begins an operator nor is doubled.
    UnescapedPercent,
    /// An operator that does not exist.
    UnknownOperator(String),
    /// `%METADATA%` or `%ENTRY%` without a key, or another operator with one.
    InvalidArgument(String),
}

/// Every operator without a key, by name.
const PLAIN: [(&str, Operator); 11] = [
    ("LIMIT", Operator::Limit),
    ("BURST", Operator::Burst),
    ("REMAINING", Operator::Remaining),
    ("AVAILABLE", Operator::Available),
    ("RESET_AT", Operator::ResetAt),
    ("RESET_AFTER", Operator::ResetAfter),
    ("RETRY_AFTER", Operator::RetryAfter),
    ("NAME", Operator::Name),
    ("UNIT", Operator::Unit),
    ("WINDOW", Operator::Window),
    ("DOMAIN", Operator::Domain),
];

/// The name of an operator without a key; empty for one that cannot be written.
pub(super) fn name(operator: &Operator) -> &'static str {
    let mut known = PLAIN.iter();
    let known = known.find(|(_, known)| known == operator);
    known.map_or("", |(name, _)| *name)
}

/// The names of all operators, for "did you mean".
pub(crate) fn operator_names() -> impl Iterator<Item = &'static str> {
    PLAIN
        .iter()
        .map(|(name, _)| *name)
        .chain(["METADATA", "ENTRY"])
}

/// Splits `text` into pieces; every fault in it is returned, with the byte at which it begins.
pub(crate) fn parse(text: &str) -> (Vec<TemplatePiece>, Vec<(usize, TemplateError)>) {
    let mut pieces = Vec::new();
    let mut faults = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        literal.push_str(&rest[..at]);
        let begin = text.len() - rest.len() + at;
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let Some((inside, after)) = split_operator(rest) else {
            faults.push((begin, TemplateError::UnescapedPercent));
            continue;
        };
        match operator(inside) {
            Ok(operator) => {
                if !literal.is_empty() {
                    pieces.push(TemplatePiece::Text(std::mem::take(&mut literal).into()));
                }
                pieces.push(TemplatePiece::Operator(operator));
            }
            Err(fault) => faults.push((begin, fault)),
        }
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(TemplatePiece::Text(literal.into()));
    }
    (pieces, faults)
}

/// The byte of a template that became the byte `at` of its sample: the text with `%` for `%%` and one byte for an operator.
pub(super) fn origin(template: &str, at: usize) -> usize {
    let (mut from, mut passed) = (0, 0);
    while passed < at && from < template.len() {
        let (len, becomes) = match template[from..].strip_prefix('%') {
            Some(after) if after.starts_with('%') => (2, 1),
            Some(after) => (
                split_operator(after).map_or(1, |(inside, _)| inside.len() + 2),
                1,
            ),
            None => {
                let text = template[from..].find('%').unwrap_or(template.len() - from);
                let text = text.min(at - passed);
                (text, text)
            }
        };
        from += len;
        passed += becomes;
    }
    from
}

/// The text before the closing `%`, and the text after it. A key in brackets may contain a `%`.
fn split_operator(rest: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name_len = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    if name_len == 0 {
        return None;
    }
    let end = match rest.as_bytes().get(name_len)? {
        b'%' => name_len,
        b'(' => name_len + rest[name_len..].find(")%")? + 1,
        _ => return None,
    };
    Some((&rest[..end], &rest[end + 1..]))
}

fn operator(inside: &str) -> Result<Operator, TemplateError> {
    let (name, key) = match inside.split_once('(') {
        Some((name, key)) => (name, key.strip_suffix(')')),
        None => (inside, None),
    };
    let key = key.filter(|key| !key.is_empty());
    match (name, key) {
        ("METADATA", Some(key)) => return Ok(Operator::Metadata(key.into())),
        ("ENTRY", Some(key)) => return Ok(Operator::Entry(key.into())),
        ("METADATA" | "ENTRY", None) => {
            return Err(TemplateError::InvalidArgument(name.to_owned()));
        }
        _ => {}
    }
    let Some((_, operator)) = PLAIN.iter().find(|(known, _)| *known == name) else {
        return Err(TemplateError::UnknownOperator(name.to_owned()));
    };
    if inside.len() > name.len() {
        return Err(TemplateError::InvalidArgument(name.to_owned()));
    }
    Ok(operator.clone())
}
