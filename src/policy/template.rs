//! Text with operators in Envoy's style (`%REMAINING%`), rendered for each response.

mod json;
mod parse;

use std::fmt;

pub(crate) use json::{BodyError, parse_body};
pub(crate) use parse::{TemplateError, TemplatePiece, operator_names, parse};

/// An operator, written between two `%`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `%LIMIT%`: hits per window of the reported limit.
    Limit,
    /// `%BURST%`: the size of its bucket.
    Burst,
    /// `%REMAINING%`: hits that would be admitted now, at most the limit.
    Remaining,
    /// `%AVAILABLE%`: hits that would be admitted now, up to the burst.
    Available,
    /// `%RESET_AT%`: Unix seconds.
    ResetAt,
    /// `%RESET_AFTER%`: seconds.
    ResetAfter,
    /// `%RETRY_AFTER%`: seconds, at least 1.
    RetryAfter,
    /// `%NAME%`: the name of the limit.
    Name,
    /// `%UNIT%`: the unit of its window.
    Unit,
    /// `%WINDOW%`: the length of its window in seconds.
    Window,
    /// `%DOMAIN%`: the name of the domain.
    Domain,
    /// `%METADATA(key)%`: a value of the rule's metadata.
    Metadata(Box<str>),
    /// `%ENTRY(key)%`: the value of an entry of the request, never of a secret one.
    Entry(Box<str>),
    /// The `RateLimit-Policy` field of `standard`, which cannot be written in a template.
    EnforcedLimits,
    /// The `RateLimit` field of `standard`, which cannot be written in a template.
    ReportedLimit,
}

/// The values of the operators in one response.
pub trait Values {
    /// Appends the value of `operator` as it is; the template escapes it.
    ///
    /// Returns false and appends nothing if there is none. Operators that [`Operator::is_number`]
    /// names are decimal integers; metadata other than text is JSON.
    fn write(&self, operator: &Operator, out: &mut Vec<u8>) -> bool;
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValueTemplate {
    pieces: Box<[TemplatePiece]>,
}

/// A body, JSON or plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyTemplate {
    pieces: Box<[(TemplatePiece, Escaping)]>,
}

/// The context of an operator, which decides how its value is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// In text that is not JSON.
    Plain,
    /// In HTML or XML.
    Markup,
    /// Inside a JSON string literal.
    Quoted,
    /// Outside of JSON strings, as a whole token.
    Token,
}

impl Operator {
    /// Whether its value is always a whole number.
    pub fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Limit
                | Self::Burst
                | Self::Remaining
                | Self::Available
                | Self::ResetAt
                | Self::ResetAfter
                | Self::RetryAfter
                | Self::Window
        )
    }
}

/// As it is written, without the `%`.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(key) => write!(f, "METADATA({key})"),
            Self::Entry(key) => write!(f, "ENTRY({key})"),
            operator => f.write_str(parse::name(operator)),
        }
    }
}

impl HeaderValueTemplate {
    pub(crate) fn new(pieces: Vec<TemplatePiece>) -> Self {
        Self {
            pieces: pieces.into(),
        }
    }

    /// The text for one response, without control characters; `None` if an operator has no value.
    pub fn render(&self, values: &impl Values) -> Option<String> {
        let mut out = Vec::with_capacity(text_len(self.pieces.iter()));
        for piece in &self.pieces {
            match piece {
                TemplatePiece::Text(text) => out.extend_from_slice(text.as_bytes()),
                TemplatePiece::Operator(operator) => {
                    let start = out.len();
                    if !values.write(operator, &mut out) {
                        return None;
                    }
                    make_plain(&mut out, start, |c| !c.is_control());
                }
            }
        }
        Some(into_text(out))
    }
}

impl BodyTemplate {
    pub(crate) fn new(pieces: Vec<(TemplatePiece, Escaping)>) -> Self {
        Self {
            pieces: pieces.into(),
        }
    }

    /// The operators whose missing values leave a gap: all but those that become `null`.
    pub fn operators_in_text(&self) -> impl Iterator<Item = &Operator> {
        let pieces = self.pieces.iter();
        pieces.filter_map(|(piece, slot)| match piece {
            TemplatePiece::Operator(operator) => (*slot != Escaping::Token).then_some(operator),
            TemplatePiece::Text(_) => None,
        })
    }

    /// The text for one response. A missing value is empty, or `null` as a JSON token.
    pub fn render(&self, values: &impl Values) -> String {
        let mut out = Vec::with_capacity(text_len(self.pieces.iter().map(|(piece, _)| piece)));
        for (piece, slot) in &self.pieces {
            let operator = match piece {
                TemplatePiece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                TemplatePiece::Operator(operator) => operator,
            };
            let start = out.len();
            let present = values.write(operator, &mut out);
            match slot {
                Escaping::Plain => {
                    make_plain(&mut out, start, |c| {
                        !c.is_control() || c == '\n' || c == '\t'
                    });
                }
                Escaping::Markup => make_markup(&mut out, start),
                Escaping::Quoted => make_quoted(&mut out, start),
                Escaping::Token if present && is_number(&out[start..]) => {}
                Escaping::Token => {
                    out.truncate(start);
                    out.extend_from_slice(b"null");
                }
            }
        }
        into_text(out)
    }
}

/// The length of the literal text, with some room for each value.
fn text_len<'a>(pieces: impl Iterator<Item = &'a TemplatePiece>) -> usize {
    pieces
        .map(|piece| match piece {
            TemplatePiece::Text(text) => text.len(),
            TemplatePiece::Operator(_) => 24,
        })
        .sum()
}

/// Makes the bytes from `start` valid UTF-8, with only the characters that `keep` accepts.
fn make_plain(out: &mut Vec<u8>, start: usize, keep: impl Fn(char) -> bool) {
    if out[start..].iter().all(|b| (0x20..0x7f).contains(b)) {
        return;
    }
    let text: String = String::from_utf8_lossy(&out[start..])
        .chars()
        .filter(|c| keep(*c))
        .collect();
    out.truncate(start);
    out.extend_from_slice(text.as_bytes());
}

/// Escapes the bytes from `start` for the text and the quoted attributes of HTML and XML.
fn make_markup(out: &mut Vec<u8>, start: usize) {
    make_plain(out, start, |c| !c.is_control() || c == '\n' || c == '\t');
    if !out[start..].iter().any(|b| b"&<>\"'".contains(b)) {
        return;
    }
    let text = out.split_off(start);
    for byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            byte => out.push(byte),
        }
    }
}

/// Escapes the bytes from `start` for the inside of a JSON string.
fn make_quoted(out: &mut Vec<u8>, start: usize) {
    let is_safe = |b: &u8| (0x20..0x7f).contains(b) && *b != b'"' && *b != b'\\';
    if out[start..].iter().all(is_safe) {
        return;
    }
    let text = String::from_utf8_lossy(&out[start..]).into_owned();
    out.truncate(start);
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c.is_control() => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Whether the bytes look like a JSON number, so that a body stays valid whatever the value.
fn is_number(bytes: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    bytes.iter().any(u8::is_ascii_digit) && bytes.iter().all(allowed)
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|fault| String::from_utf8_lossy(fault.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests;
