//! Quoted text in messages, and "did you mean".

/// Text of a file, for a message: short, and without control characters.
pub fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// "did you mean …?", if one of `known` is similar to `text`.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let similar = known
        .into_iter()
        .filter_map(|name| Some((distance(text, name)?, name)));
    similar
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Whether `text` may be a misspelling of `name`.
pub fn is_similar(text: &str, name: &str) -> bool {
    distance(text, name).is_some()
}

/// The edit distance, if it is small enough for a typing error.
fn distance(text: &str, name: &str) -> Option<usize> {
    const MAX_LEN: usize = 40;
    if text.len() > MAX_LEN {
        return None;
    }
    let allowed = (text.chars().count() / 3).min(3);
    Some(strsim::damerau_levenshtein(text, name)).filter(|distance| *distance <= allowed)
}
