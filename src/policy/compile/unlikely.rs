//! Texts that hardly any request has: mistakes of writing that would make a rule match nothing, in silence.

use std::net::IpAddr;

use crate::document::{PathElement, Position, Report, Spanned, Text, is_placeholder};
use crate::policy::PolicyCode;
use crate::policy::matchers::path::{Methods, PathPattern, Segment};
use crate::policy::raw::RawDescriptor;

/// The methods of HTTP that are in use.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The key whose values Envoy sends as blocks.
const MASKED_ADDRESS: &str = "masked_remote_address";

/// Why hardly any request has a text, and what to write in its place. Neither quotes the text.
struct Unlikely {
    why: &'static str,
    help: &'static str,
}

/// Warns of a text that is hardly meant as it is written. `what` names it, such as "the key".
pub(super) fn check_text(what: &str, text: &Spanned<Text>, report: &mut Report) {
    if let Some(unlikely) = as_text(&text.value) {
        unlikely.report(what, text.position, report);
    }
}

/// Warns of the key and the values of a descriptor. Values that gateways generate from the key are intended.
pub(super) fn check_descriptor(raw: &RawDescriptor, report: &mut Report) {
    let key = raw.key.given();
    if let Some(key) = key {
        check_text("the key", key, report);
    }
    let key = key.map_or("", |key| &*key.value);
    let value = raw.value.given();
    let value = value.filter(|value| *key != *value.value);
    let values = raw.matchers.values.given();
    let written = [
        ("value", value.map(std::slice::from_ref)),
        ("values", values.map(|values| &values.value[..])),
    ];
    for (name, values) in written {
        for value in values.into_iter().flatten() {
            if let Some(unlikely) = as_text(&value.value).or_else(|| as_value(key, &value.value)) {
                report.within(PathElement::Key(name), |report| {
                    unlikely.report("the value", value.position, report);
                });
            }
        }
    }
}

/// Warns of a pattern that parses as another one than was meant.
pub(super) fn check_pattern(
    pattern: &PathPattern,
    position: Option<Position>,
    report: &mut Report,
) {
    let unlikely = as_text(&pattern.text).or_else(|| as_pattern(pattern));
    if let Some(unlikely) = unlikely {
        report.within(PathElement::Key("pattern"), |report| {
            unlikely.report("the pattern", position, report);
        });
    }
}

impl Unlikely {
    const fn new(why: &'static str, help: &'static str) -> Self {
        Self { why, help }
    }

    fn report(&self, what: &str, position: Option<Position>, report: &mut Report) {
        let message = format!("{what} {}", self.why);
        report.add_with_help(PolicyCode::UnlikelyText, position, message, self.help);
    }
}

/// A fault of any text.
fn as_text(text: &str) -> Option<Unlikely> {
    if text.ends_with(['\n', '\r']) {
        return Some(Unlikely::new(
            "ends with a line break, which is part of it",
            "write it on the line of its key, or use `|-` in place of `|`",
        ));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Some(Unlikely::new(
            "begins or ends with a space, which is part of it",
            "remove the space",
        ));
    }
    if text.contains(char::is_control) {
        return Some(Unlikely::new(
            "contains a control character, such as a line break or a tab",
            "write it on one line, without `\\n` or `\\t`",
        ));
    }
    if text.contains(is_invisible) {
        return Some(Unlikely::new(
            "contains an invisible character, perhaps from a web page or a word processor",
            "delete the text and type it again",
        ));
    }
    if text.starts_with(is_typographic_quote) || text.ends_with(is_typographic_quote) {
        return Some(Unlikely::new(
            "begins or ends with a typographic quote, which is part of it",
            "use the quotes `\"` or `'`",
        ));
    }
    is_placeholder(text).then_some(Unlikely::new(
        "looks like a placeholder that was not filled in",
        "replace it before the file is loaded: weir expands no variables and no templates in a policy",
    ))
}

/// A value that was meant as another matcher.
fn as_value(key: &str, value: &str) -> Option<Unlikely> {
    let (method, path) = value.split_once(' ').unwrap_or((value, value));
    if path.contains('/') && path.split('/').any(is_capture) {
        return Some(Unlikely::new(
            "names a path segment, but `value` has no captures: this is ordinary text",
            "write it as `pattern`, with the segment as `{name}`",
        ));
    }
    if is_regex(value) {
        return Some(Unlikely::new(
            "looks like a regular expression, but `value` is ordinary text in which only `*` has a meaning",
            "use `*`, or `pattern` for a path",
        ));
    }
    if key != MASKED_ADDRESS && is_block(value) {
        return Some(Unlikely::new(
            "is a block of addresses, but `value` is ordinary text",
            "write it as `cidr`",
        ));
    }
    let is_method = (path.starts_with('/') && method != path) || key.contains("method");
    (is_method && is_miswritten_method(method)).then_some(METHOD_CASE)
}

const METHOD_CASE: Unlikely = Unlikely::new(
    "has a method in lower case, and methods are compared exactly",
    "write methods in capitals, such as `GET`",
);

fn as_pattern(pattern: &PathPattern) -> Option<Unlikely> {
    if let Methods::Named(methods) = &pattern.methods
        && methods.iter().any(|method| is_miswritten_method(method))
    {
        return Some(METHOD_CASE);
    }
    let mut literals = pattern.segments.iter().filter_map(|segment| match segment {
        Segment::Static(text) => Some(&**text),
        Segment::Capture(_) => None,
    });
    let is_foreign = |text: &str| is_capture(text) || is_regex(&format!("/{text}"));
    literals.any(is_foreign).then_some(Unlikely::new(
        "has a segment as other routers write them, which is ordinary text here",
        "write `{name}` for one segment and `{*rest}` for the rest of the path",
    ))
}

/// Whether a segment is a capture, as one of the usual routers writes it.
fn is_capture(segment: &str) -> bool {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let inside = |open, close| segment.strip_prefix(open)?.strip_suffix(close);
    let braced = inside('{', '}').map(|name: &str| name.trim_start_matches('*'));
    let names = [
        segment.strip_prefix(':'),
        braced,
        inside('<', '>').map(|name: &str| name.rsplit(':').next().unwrap_or(name)),
        inside('[', ']'),
    ];
    names.into_iter().flatten().any(is_name)
}

fn is_regex(text: &str) -> bool {
    let signs = [
        "/.*", "/.+", "(?", "\\d", "\\w", "\\.", "[0-9", "[a-z", "[^",
    ];
    (text.starts_with('^') || text.ends_with('$') || signs.iter().any(|sign| text.contains(sign)))
        && !text.contains(' ')
        || text.starts_with('^') && text.ends_with('$')
}

/// Whether the text is an address with a length, valid as a block or not.
fn is_block(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, len)| {
        address.parse::<IpAddr>().is_ok() && len.parse::<u8>().is_ok_and(|len| len <= 128)
    })
}

/// Whether it is a method of HTTP, but not in capitals.
fn is_miswritten_method(text: &str) -> bool {
    let is = |known: &&str| known.eq_ignore_ascii_case(text) && **known != *text;
    METHODS.iter().any(is)
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}'
    )
}

fn is_typographic_quote(c: char) -> bool {
    matches!(c, '\u{2018}'..='\u{201f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_values_are_likely() {
        for value in [
            "",
            "free",
            "/login",
            "GET /sites/s1",
            "post",
            "get it",
            "a:b",
            "/v1/x:verb",
            "{json}",
            "O\u{2019}Brien",
            "10.0.0.1",
            "2001:db8::1",
            "16/9",
            "com.example.*",
            "* /internal/*",
            "$5",
            "Mozilla/5.0 (X11; Linux) [en]",
            "50% off",
            "a <b> c",
            "日本",
        ] {
            let found = as_text(value).or_else(|| as_value("k", value));
            assert!(found.is_none(), "{value:?} {}", found.unwrap().why);
        }
        assert!(as_value(MASKED_ADDRESS, "10.0.0.0/8").is_none());
        for pattern in ["GET /sites/{site}", "/v1/x:verb", "/a.b/[x", "* /{*rest}"] {
            let pattern = PathPattern::parse(pattern).unwrap();
            assert!(as_pattern(&pattern).is_none(), "{}", pattern.text);
        }
    }

    #[test]
    fn mistakes_are_found() {
        for (value, expected) in [
            ("/login\n", "line break"),
            ("prod ", "a space"),
            ("\tprod", "a space"),
            ("a\nb", "control"),
            ("a\u{200b}b", "invisible"),
            ("pro\u{a0}d", "invisible"),
            ("\u{201c}prod\u{201d}", "quote"),
            ("{{ .Values.plan }}", "placeholder"),
            ("a-${PLAN}", "placeholder"),
            ("<plan>", "placeholder"),
            ("%REQ(x-plan)%", "placeholder"),
            ("GET /v1/docs/{id}", "path segment"),
            ("/v1/docs/:id", "path segment"),
            ("/v1/docs/<int:id>", "path segment"),
            ("^/v1/[a-z]+$", "regular"),
            ("/v1/.*", "regular"),
            ("10.0.0.0/8", "block"),
            ("10.0.0.1/8", "block"),
            ("2001:db8::/32", "block"),
            ("get /v1/docs", "method"),
            ("Post /v1/docs", "method"),
        ] {
            let found = as_text(value).or_else(|| as_value("k", value));
            let why = found.map_or("nothing", |found| found.why);
            assert!(why.contains(expected), "{value:?}: {why}");
        }
        assert!(as_value("request_method", "get").is_some());
        for pattern in [
            "get /v1",
            "GET|post /v1",
            "/a/:id",
            "/a/<id>/b",
            "/a/[id]",
            "/a/.*",
        ] {
            let pattern = PathPattern::parse(pattern).unwrap();
            assert!(as_pattern(&pattern).is_some(), "{}", pattern.text);
        }
    }
}
