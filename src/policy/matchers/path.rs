//! Path templates: `GET|POST /sites/{site}/{*rest}`.

mod trie;

pub(crate) use trie::PathTrie;

/// A valid pattern.
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

/// Which methods a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Methods {
    /// Matches values without a method.
    Absent,
    /// Any method.
    Any,
    /// One of these.
    Named(Box<[Box<str>]>),
}

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Static(Box<str>),
    Capture(Box<str>),
}

/// A part of a match that `count_by` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureRef {
    /// The method.
    Method,
    /// The segment of that index.
    Segment(u8),
    /// The rest of the path from the segment of that index.
    Tail(u8),
}

/// Why a text is not a pattern. It does not quote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathPatternError {
    #[error("the path of a pattern must begin with `/`")]
    NoSlash,
    #[error("a pattern has at most 64 segments")]
    TooManySegments,
    #[error("`{{*…}}` must be the last segment of a pattern")]
    TailNotLast,
    #[error("duplicate name in the pattern")]
    DuplicateName,
    #[error("a pattern is a path, or methods, one space and a path")]
    NoPath,
    #[error("the methods of a pattern are `*`, or names separated by `|`")]
    InvalidMethods,
    #[error("duplicate method in the pattern")]
    DuplicateMethod,
    #[error("a pattern has at most 32 methods")]
    TooManyMethods,
    #[error("a segment of the pattern is empty")]
    EmptySegment,
    #[error("`{{…}}` must be a whole segment of a pattern")]
    PartialCapture,
    #[error("a pattern cannot have a query: the query of a value is ignored")]
    Query,
    #[error("a name in a pattern may only have letters, digits, `_` and `-`")]
    InvalidName,
    #[error("`method` cannot be the name of a segment: it means the method")]
    ReservedName,
}

impl PathPattern {
    /// The most segments of a pattern.
    pub(crate) const MAX_SEGMENTS: usize = 64;

    /// Parses a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, PathPatternError> {
        let (methods, path) = split_methods(text)?;
        let Some(path) = path.strip_prefix('/') else {
            return Err(PathPatternError::NoSlash);
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = Vec::new();
        let mut tail: Option<Box<str>> = None;
        let mut names: Vec<&str> = Vec::new();
        for segment in path.split('/').filter(|_| !path.is_empty()) {
            if segments.len() == Self::MAX_SEGMENTS && !segment.starts_with("{*") {
                return Err(PathPatternError::TooManySegments);
            }
            if tail.is_some() {
                return Err(PathPatternError::TailNotLast);
            }
            let name = match parse_segment(segment)? {
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
                return Err(PathPatternError::DuplicateName);
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

    /// The capture called `name`; `None` if the pattern does not have it.
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

    /// Whether a literal segment has a `*`, which is not a wildcard there.
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

fn split_methods(text: &str) -> Result<(Methods, &str), PathPatternError> {
    if text.starts_with('/') {
        return Ok((Methods::Absent, text));
    }
    let Some((methods, path)) = text.split_once(' ') else {
        return Err(PathPatternError::NoPath);
    };
    if methods == "*" {
        return Ok((Methods::Any, path));
    }
    let mut named: Vec<Box<str>> = Vec::new();
    for method in methods.split('|') {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`~".contains(&b);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(PathPatternError::InvalidMethods);
        }
        if named.iter().any(|other| **other == *method) {
            return Err(PathPatternError::DuplicateMethod);
        }
        if named.len() == MAX_METHODS {
            return Err(PathPatternError::TooManyMethods);
        }
        named.push(method.into());
    }
    Ok((Methods::Named(named.into()), path))
}

fn parse_segment(segment: &str) -> Result<ParsedSegment<'_>, PathPatternError> {
    if segment.is_empty() {
        return Err(PathPatternError::EmptySegment);
    }
    let Some(inside) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
        if segment.contains(['{', '}']) {
            return Err(PathPatternError::PartialCapture);
        }
        if segment.contains('?') {
            return Err(PathPatternError::Query);
        }
        return Ok(ParsedSegment::Static);
    };
    let name = inside.strip_prefix('*').unwrap_or(inside);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(PathPatternError::InvalidName);
    }
    if name == "method" {
        return Err(PathPatternError::ReservedName);
    }
    Ok(if inside.len() > name.len() {
        ParsedSegment::Tail(name)
    } else {
        ParsedSegment::Capture(name)
    })
}

#[cfg(test)]
mod tests;
