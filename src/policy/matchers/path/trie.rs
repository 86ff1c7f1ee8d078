//! All patterns of one level as one tree of segments.
//!
//! A lookup tries static segments before captures before tails, and backtracks where that fails.
//! Each node has one parent, so it is visited at most once: the tree bounds the work, whatever the
//! value.

use super::{CaptureRef, Methods, PathPattern, Segment};
use crate::policy::byte_map::ByteMap;
use crate::policy::matchers::count_step;

/// Patterns, each with a `u32`.
#[derive(Debug, Default)]
pub(crate) struct PathTrie {
    nodes: Vec<TrieNode>,
    depth: usize,
}

#[derive(Debug, Default)]
struct TrieNode {
    statics: ByteMap<u32>,
    capture: Option<u32>,
    end: MethodTargets,
    tail: MethodTargets,
}

/// The targets of a path, by method.
#[derive(Debug, Default)]
struct MethodTargets {
    absent: Option<u32>,
    any: Option<u32>,
    named: ByteMap<u32>,
}

/// A value that matches a pattern.
#[derive(Debug)]
pub(crate) struct PathMatch<'v> {
    /// The target of the pattern.
    pub(crate) target: u32,
    path: SplitPath<'v>,
}

/// A value, split into its parts.
#[derive(Debug)]
struct SplitPath<'v> {
    method: Option<&'v [u8]>,
    /// The path without the query, the first slash and a final slash.
    path: &'v [u8],
    /// The start of each segment, up to the depth of the trie.
    starts: [u32; PathPattern::MAX_SEGMENTS + 1],
    /// The number of these segments, and whether the path has more.
    len: usize,
}

impl PathTrie {
    /// Adds a pattern, or returns the target of a pattern of the same shape.
    pub(crate) fn insert(&mut self, pattern: &PathPattern, target: u32) -> Result<(), u32> {
        if self.nodes.is_empty() {
            self.nodes.push(TrieNode::default());
        }
        let mut at = 0;
        for segment in &pattern.segments {
            let fresh = self.nodes.len() as u32;
            let next = match segment {
                Segment::Static(text) => {
                    let statics = &mut self.nodes[at].statics;
                    statics.get_or_insert(text.as_bytes(), fresh)
                }
                Segment::Capture(_) => *self.nodes[at].capture.get_or_insert(fresh),
            };
            if next == fresh {
                self.nodes.push(TrieNode::default());
            }
            at = next as usize;
        }
        self.depth = self.depth.max(pattern.segments.len());
        let node = &mut self.nodes[at];
        let ends = match pattern.tail {
            Some(_) => &mut node.tail,
            None => &mut node.end,
        };
        ends.insert(&pattern.methods, target)
    }

    /// The best pattern that matches.
    pub(crate) fn find<'v>(&self, value: &'v [u8]) -> Option<PathMatch<'v>> {
        if self.nodes.is_empty() {
            return None;
        }
        let path = SplitPath::new(value, self.depth)?;
        let target = self.descend(0, 0, &path)?;
        Some(PathMatch { target, path })
    }

    fn descend(&self, at: u32, level: usize, path: &SplitPath<'_>) -> Option<u32> {
        count_step();
        let node = &self.nodes[at as usize];
        let Some(segment) = path.segment(level) else {
            let end = if path.len == level {
                node.end.find(path.method)
            } else {
                None
            };
            return end.or_else(|| node.tail.find(path.method));
        };
        let by_static = || {
            let next = node.statics.get(segment)?;
            self.descend(*next, level + 1, path)
        };
        let by_capture = || {
            let next = node.capture.filter(|_| !segment.is_empty())?;
            self.descend(next, level + 1, path)
        };
        by_static()
            .or_else(by_capture)
            .or_else(|| node.tail.find(path.method))
    }
}

impl MethodTargets {
    fn insert(&mut self, methods: &Methods, target: u32) -> Result<(), u32> {
        match methods {
            Methods::Absent => taken(*self.absent.get_or_insert(target), target),
            Methods::Any => taken(*self.any.get_or_insert(target), target),
            Methods::Named(names) => names.iter().try_for_each(|name| {
                taken(self.named.get_or_insert(name.as_bytes(), target), target)
            }),
        }
    }

    fn find(&self, method: Option<&[u8]>) -> Option<u32> {
        match method {
            None => self.absent,
            Some(method) => self.named.get(method).copied().or(self.any),
        }
    }
}

fn taken(present: u32, target: u32) -> Result<(), u32> {
    if present == target {
        Ok(())
    } else {
        Err(present)
    }
}

impl<'v> SplitPath<'v> {
    fn new(value: &'v [u8], depth: usize) -> Option<Self> {
        let (method, path) = if value.first() == Some(&b'/') {
            (None, value)
        } else {
            let space = value.iter().position(|b| *b == b' ').filter(|at| *at > 0)?;
            (Some(&value[..space]), &value[space + 1..])
        };
        let query = path.iter().position(|b| *b == b'?');
        let path = path[..query.unwrap_or(path.len())].strip_prefix(b"/")?;
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut starts = [0; PathPattern::MAX_SEGMENTS + 1];
        let mut len = 0;
        if !path.is_empty() {
            len = 1;
            let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/');
            // One segment more than the trie is deep is enough to know that there are too many.
            for (at, _) in slashes.take(depth) {
                starts[len.min(PathPattern::MAX_SEGMENTS)] = at as u32 + 1;
                len += 1;
            }
        }
        Some(Self {
            method,
            path,
            starts,
            len,
        })
    }

    fn segment(&self, at: usize) -> Option<&'v [u8]> {
        if at >= self.len || at >= PathPattern::MAX_SEGMENTS {
            return None;
        }
        let rest = &self.path[self.starts[at] as usize..];
        let end = if at + 1 < self.len {
            (self.starts[at + 1] - self.starts[at]) as usize - 1
        } else {
            rest.iter().position(|b| *b == b'/').unwrap_or(rest.len())
        };
        Some(&rest[..end])
    }

    fn tail(&self, at: usize) -> &'v [u8] {
        if at >= self.len {
            return &[];
        }
        &self.path[self.starts[at] as usize..]
    }
}

impl<'v> PathMatch<'v> {
    /// The part of the value that `capture_ref` refers to.
    pub(crate) fn piece(&self, capture_ref: CaptureRef) -> &'v [u8] {
        match capture_ref {
            CaptureRef::Method => self.path.method.unwrap_or_default(),
            CaptureRef::Segment(at) => self.path.segment(at as usize).unwrap_or_default(),
            CaptureRef::Tail(at) => self.path.tail(at as usize),
        }
    }
}
