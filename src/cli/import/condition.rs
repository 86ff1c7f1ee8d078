//! Conditions and variables of Limitador: comparisons of an entry with a text. It has CEL; most files have no more than this.

/// A comparison with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) key: String,
    pub(super) comparison: Comparison,
    pub(super) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
}

/// Parses comparisons that are joined by `&&`; `None` for every other expression.
pub(super) fn conditions(text: &str) -> Option<Vec<Condition>> {
    text.split("&&").map(condition).collect()
}

fn condition(text: &str) -> Option<Condition> {
    let (comparison, (key, value)) = match text.split_once("!=") {
        Some(sides) => (Comparison::NotEqual, sides),
        None => (Comparison::Equal, text.split_once("==")?),
    };
    Some(Condition {
        key: variable(key)?,
        comparison,
        value: literal(value.trim())?,
    })
}

/// The key of an entry: `descriptors[0]['req.method']`, `descriptors[0].user` or `user`.
pub(super) fn variable(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(entry) = text.strip_prefix("descriptors[0]") else {
        return is_name(text).then(|| text.to_owned());
    };
    if let Some(name) = entry.strip_prefix('.') {
        return is_name(name).then(|| name.to_owned());
    }
    let quoted = entry.strip_prefix('[')?.strip_suffix(']')?;
    unquoted(quoted.trim())
}

/// A text in quotes, or one word, as older files have it.
fn literal(text: &str) -> Option<String> {
    unquoted(text).or_else(|| is_name(text).then(|| text.to_owned()))
}

fn unquoted(text: &str) -> Option<String> {
    let inner = ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))?;
    let is_plain = !inner.contains(['\'', '"', '\\']);
    is_plain.then(|| inner.to_owned())
}

/// Letters, digits and what else names have; neither a call nor an operator.
fn is_name(text: &str) -> bool {
    let is_allowed = |letter: char| letter.is_alphanumeric() || "_.-/:".contains(letter);
    !text.is_empty() && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Vec<(String, Comparison, String)>> {
        let conditions = conditions(text)?;
        let parts = conditions.into_iter();
        Some(parts.map(|it| (it.key, it.comparison, it.value)).collect())
    }

    #[test]
    fn comparisons_are_read_in_every_spelling() {
        let equal = |key: &str, value: &str| (key.to_owned(), Comparison::Equal, value.to_owned());
        for text in [
            "descriptors[0]['req.method'] == 'GET'",
            "descriptors[0][\"req.method\"]==\"GET\"",
            "descriptors[0].req.method == 'GET'",
            "req.method == GET",
        ] {
            assert_eq!(
                parsed(text),
                Some(vec![equal("req.method", "GET")]),
                "{text}"
            );
        }
        assert_eq!(
            parsed("a == 'b' && c != ''"),
            Some(vec![
                equal("a", "b"),
                ("c".to_owned(), Comparison::NotEqual, String::new())
            ])
        );
    }

    #[test]
    fn other_expressions_are_none() {
        for text in [
            "descriptors[1].a == 'b'",
            "a.startsWith('b')",
            "a == 'b' || c == 'd'",
            "a < 5",
            "a == b(c)",
            "a in ['b']",
            "a == 'it\\'s'",
            "",
        ] {
            assert_eq!(conditions(text), None, "{text}");
        }
        assert_eq!(variable("descriptors[0].a.size()"), None);
        assert_eq!(variable("descriptors[0]['a']"), Some("a".to_owned()));
    }
}
