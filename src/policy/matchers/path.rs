//! SplitPath templates: `GET|POST /sites/{site}/{*rest}`.

mod trie;

pub(crate) use trie::PathTrie;

/// A path template, complete and valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    pub(crate) text: Box<str>,
    pub(crate) methods: Methods,
    pub(crate) segments: Box<[Segment]>,
    /// The name of a `{*rest}` at the end.
    pub(crate) tail: Option<Box<str>>,
}

/// The most methods of a pattern.
const MAX_METHODS: usize = 32;

/// Which methods a pattern takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Methods {
    /// Values without a method part.
    Absent,
    /// Any method.
    Any,
    /// These.
    Named(Box<[Box<str>]>),
}

/// One piece of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Static(Box<str>),
    Capture(Box<str>),
}

/// What `count_by` takes from a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureRef {
    /// The method.
    Method,
    /// The segment of that number.
    Segment(u8),
    /// All from the segment of that number on.
    Tail(u8),
}

impl PathPattern {
    /// The most segments of a pattern.
    pub(crate) const MAX_SEGMENTS: usize = 64;

    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without quoting the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (methods, path) = split_methods(text)?;
        let Some(path) = path.strip_prefix('/') else {
            return Err("the path of a pattern begins with `/`");
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = Vec::new();
        let mut tail: Option<Box<str>> = None;
        let mut names: Vec<&str> = Vec::new();
        for segment in path.split('/').filter(|_| !path.is_empty()) {
            if segments.len() == Self::MAX_SEGMENTS && !segment.starts_with("{*") {
                return Err("a pattern has at most 64 segments");
            }
            if tail.is_some() {
                return Err("`{*…}` is the last segment of a pattern");
            }
            let name = match read_segment(segment)? {
                ParsedSegment::Static => {
                    segments.push(Segment::Static(segment.into()));
                    continue;
                }
                ParsedSegment::Capture(name) => {
                    segments.push(Segment::Capture(name.into()));
                    name
                }
                ParsedSegment::Tail(name) => {
                    tail = Some(name.into());
                    name
                }
            };
            if names.contains(&name) {
                return Err("a name stands twice in the pattern");
            }
            names.push(name);
        }
        Ok(Self {
            text: text.into(),
            methods,
            segments: segments.into(),
            tail,
        })
    }

    /// What `name` takes from a match; none if the pattern has no such capture.
    pub(crate) fn capture_ref(&self, name: &str) -> Option<CaptureRef> {
        if name == "method" {
            return (self.methods != Methods::Absent).then_some(CaptureRef::Method);
        }
        if self.tail.as_deref() == Some(name) {
            return Some(CaptureRef::Tail(self.segments.len() as u8));
        }
        let is_named =
            |segment: &Segment| matches!(segment, Segment::Capture(own) if &**own == name);
        let at = self.segments.iter().position(is_named)?;
        Some(CaptureRef::Segment(at as u8))
    }

    /// Whether its text has a `*` that looks like a wildcard and is none.
    pub(crate) fn has_literal_star(&self) -> bool {
        let is_star =
            |segment: &Segment| matches!(segment, Segment::Static(text) if text.contains('*'));
        self.segments.iter().any(is_star)
    }
}

enum ParsedSegment<'a> {
    Static,
    Capture(&'a str),
    Tail(&'a str),
}

fn split_methods(text: &str) -> Result<(Methods, &str), &'static str> {
    if text.starts_with('/') {
        return Ok((Methods::Absent, text));
    }
    let Some((methods, path)) = text.split_once(' ') else {
        return Err("a pattern is a path, or methods, one space and a path");
    };
    if methods == "*" {
        return Ok((Methods::Any, path));
    }
    let mut named: Vec<Box<str>> = Vec::new();
    for method in methods.split('|') {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`~".contains(&b);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err("the methods of a pattern are `*`, or names with `|` between them");
        }
        if named.iter().any(|other| **other == *method) {
            return Err("a method stands twice in the pattern");
        }
        if named.len() == MAX_METHODS {
            return Err("a pattern has at most 32 methods");
        }
        named.push(method.into());
    }
    Ok((Methods::Named(named.into()), path))
}

fn read_segment(segment: &str) -> Result<ParsedSegment<'_>, &'static str> {
    if segment.is_empty() {
        return Err("a segment of the pattern is empty");
    }
    let Some(inside) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
        if segment.contains(['{', '}']) {
            return Err("`{…}` is a whole segment of a pattern");
        }
        if segment.contains('?') {
            return Err("a query is no part of a pattern: it is ignored in what is matched");
        }
        return Ok(ParsedSegment::Static);
    };
    let name = inside.strip_prefix('*').unwrap_or(inside);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err("a name in a pattern has letters, digits, `_` and `-`");
    }
    if name == "method" {
        return Err("`method` cannot be the name of a segment: it means the method");
    }
    Ok(if inside.len() > name.len() {
        ParsedSegment::Tail(name)
    } else {
        ParsedSegment::Capture(name)
    })
}

#[cfg(test)]
mod tests;
