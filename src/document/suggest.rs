//! Quoted text in messages, and "did you mean".

/// Text of a file in backticks, for a message: short, and without control characters.
pub fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// Text of a file, for a message: short, and without control characters.
pub fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// Whether a text, or a part of it, is a variable or a placeholder that was not filled in: `{{ … }}`, `${…}`, an
/// operator of Envoy such as `%REQ(x-plan)%`, or `<…>` around all of it.
pub fn is_placeholder(text: &str) -> bool {
    let is_between = |open: &str, close: &str| {
        let inside = text.split_once(open);
        inside.is_some_and(|(_, rest)| rest.contains(close))
    };
    let is_operator = text.split_once('%').is_some_and(|(_, rest)| {
        let name_len = rest
            .bytes()
            .take_while(|b| b.is_ascii_uppercase() || *b == b'_');
        let name_len = name_len.count();
        name_len > 1 && rest[name_len..].starts_with('(') && rest.contains(")%")
    });
    let name = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    let is_name = |name: &str| !name.is_empty() && !name.contains(['<', '>']);
    is_between("{{", "}}") || is_between("${", "}") || is_operator || name.is_some_and(is_name)
}

/// A key in camel case or with dashes as keys are written here: `requestsPerUnit` is `requests_per_unit`.
fn snake_case(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        match c {
            '-' | ' ' => snake.push('_'),
            'A'..='Z' => {
                if !snake.is_empty() && !snake.ends_with('_') {
                    snake.push('_');
                }
                snake.push(c.to_ascii_lowercase());
            }
            _ => snake.push(c),
        }
    }
    snake
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
    let snake = snake_case(text);
    let distance = |text| strsim::damerau_levenshtein(text, name);
    let distance = distance(text).min(distance(&snake));
    Some(distance).filter(|distance| *distance <= allowed)
}
