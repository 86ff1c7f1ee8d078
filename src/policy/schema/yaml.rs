//! YAML as a tree of nodes that know their place.
//!
//! Built from parser events without recursion. Anchors are shared, merges are resolved, repeated
//! keys are found. Nothing that is said here quotes more than a key.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::merge::merged;
use crate::policy::report::{Report, quoted};
use crate::policy::{Code, Place};

/// Text that many nodes may share.
pub(crate) type Text = Rc<str>;

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar(Text, Style),
    List(Rc<[Node]>),
    Map(Rc<[Pair]>),
}

/// Whether a scalar's text alone says what it is, or its looks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
}

/// A key of a mapping and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: Text,
    pub(crate) style: Style,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// Deeper than 64 levels of descriptors, shallower than any stack.
const MAX_DEPTH: usize = 256;

/// The most nodes that all aliases of a file may stand for together; long text counts as several.
const MAX_ALIASED: usize = 4_000_000;

/// So many bytes of text are one more node.
const NODE_BYTES: usize = 64;

/// Shorter texts are worth sharing.
const SHARED_LEN: usize = 40;

/// What is put before a file that is JSON.
///
/// The parser takes a `{` at the start of a line for what may become a key of a mapping, and then
/// holds the whole file as tokens until it knows better: 35 bytes for each of its own.
const JSON_START: &str = "--- ";

/// Reads the only document of `text`; none if there is no sense in going on.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let (text, shift) = prepared(text);
    read(&text, shift, report)
}

/// The text as the parser is given it, and how many characters longer its first line is.
pub(super) fn prepared(text: &str) -> (Cow<'_, str>, usize) {
    if text.starts_with('{') {
        return (format!("{JSON_START}{text}").into(), JSON_START.len());
    }
    (text.into(), 0)
}

/// Reads text whose first line begins `shift` columns early.
fn read(text: &str, shift: usize, report: &mut Report) -> Option<Node> {
    let mut builder = Builder {
        report,
        shift,
        frames: Vec::new(),
        anchors: HashMap::new(),
        texts: HashSet::new(),
        aliased: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                if !builder.take(event, span) {
                    return None;
                }
            }
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    Some(builder.root.unwrap_or_else(|| Node {
        place: Place { line: 1, column: 1 },
        kind: Kind::Scalar("".into(), Style::Plain),
    }))
}

struct Builder<'r> {
    report: &'r mut Report,
    shift: usize,
    frames: Vec<Frame>,
    /// What each anchor stands for, and how many nodes that is.
    anchors: HashMap<usize, (Node, usize)>,
    texts: HashSet<Text>,
    aliased: usize,
    root: Option<Node>,
}

/// A list or a mapping that is not complete.
struct Frame {
    place: Place,
    anchor: usize,
    size: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map(Vec<Pair>, Option<Key>),
}

/// A key that waits for its node; none if it was no text, which was said already.
type Key = Option<(Text, Style, Place)>;

impl Builder<'_> {
    /// False if there is no sense in going on.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let place = self.place(&span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let hint = "one file holds one domain: split it into files";
                let message = "the file has more than one YAML document";
                self.report
                    .hint(Code::SeveralDocuments, Some(place), (message, hint));
                return false;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let mut plain = style == ScalarStyle::Plain;
                plain &= self.means_text(tag.as_deref(), place) != Some(true);
                let style = if plain { Style::Plain } else { Style::Quoted };
                let size = 1 + text.len() / NODE_BYTES;
                let kind = Kind::Scalar(self.share(&text), style);
                self.complete(anchor, size, Node { place, kind });
            }
            Event::SequenceStart(anchor, tag) => {
                self.means_text(tag.as_deref(), place);
                return self.open(place, anchor, Inside::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.means_text(tag.as_deref(), place);
                return self.open(place, anchor, Inside::Map(Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => return self.alias(anchor, place),
            _ => {}
        }
        true
    }

    /// Whether a tag says that a scalar is text; a tag that says anything unusual is an error.
    fn means_text(&mut self, tag: Option<&Tag>, place: Place) -> Option<bool> {
        let tag = tag?;
        if tag.is_yaml_core_schema() {
            match tag.suffix.as_str() {
                "str" => return Some(true),
                "int" | "bool" | "float" | "null" | "map" | "seq" => return Some(false),
                _ => {}
            }
        }
        if tag.handle.is_empty() && tag.suffix == "!" {
            return Some(true);
        }
        self.report.say(
            Code::UnknownTag,
            Some(place),
            "this YAML tag has no meaning here",
        );
        None
    }

    fn share(&mut self, text: &str) -> Text {
        if text.len() > SHARED_LEN {
            return text.into();
        }
        if let Some(shared) = self.texts.get(text) {
            return shared.clone();
        }
        let shared: Text = text.into();
        self.texts.insert(shared.clone());
        shared
    }

    fn open(&mut self, place: Place, anchor: usize, inside: Inside) -> bool {
        if self.frames.len() >= MAX_DEPTH {
            let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep");
            self.report.say(Code::NestedTooDeeply, Some(place), message);
            return false;
        }
        self.frames.push(Frame {
            place,
            anchor,
            size: 1,
            inside,
        });
        true
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let kind = match frame.inside {
            Inside::List(nodes) => Kind::List(nodes.into()),
            Inside::Map(pairs, _) => {
                let pairs = self.without_repeated(pairs);
                Kind::Map(merged(pairs, self.report).into())
            }
        };
        let place = frame.place;
        self.complete(frame.anchor, frame.size, Node { place, kind });
    }

    /// A node is complete: it goes where it belongs.
    fn complete(&mut self, anchor: usize, size: usize, node: Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.size += size;
        match &mut frame.inside {
            Inside::List(nodes) => nodes.push(node),
            Inside::Map(pairs, waiting) => match waiting.take() {
                Some(Some((key, style, place))) => pairs.push(Pair {
                    key,
                    style,
                    place,
                    node,
                }),
                Some(None) => {}
                None => {
                    *waiting = Some(match node.kind {
                        Kind::Scalar(text, style) => Some((text, style, node.place)),
                        _ => {
                            let message = "the key of a mapping is text";
                            self.report.say(Code::WrongType, Some(node.place), message);
                            None
                        }
                    });
                }
            },
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> bool {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            let message = "an alias stands inside of what it stands for";
            self.report.say(Code::AliasOfItself, Some(place), message);
            return false;
        };
        self.aliased += size;
        if self.aliased > MAX_ALIASED {
            let message =
                format!("the aliases of the file stand for more than {MAX_ALIASED} nodes");
            self.report.say(Code::TooLarge, Some(place), message);
            return false;
        }
        self.complete(0, size, node);
        true
    }

    /// The pairs whose key is the first of its name; the others are said to be too many.
    fn without_repeated(&mut self, pairs: Vec<Pair>) -> Vec<Pair> {
        const FEW: usize = 12;
        let is_first = |(at, pair): (usize, &Pair)| !pairs[..at].iter().any(|p| p.key == pair.key);
        if pairs.len() <= FEW && pairs.iter().enumerate().all(is_first) {
            return pairs;
        }
        let mut seen: HashMap<Text, u32> = HashMap::new();
        let mut first = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if let Some(line) = seen.get(&pair.key) {
                let key = quoted(&pair.key);
                let message =
                    format!("the key {key} stands twice in one mapping, first on line {line}");
                self.report
                    .say(Code::RepeatedKey, Some(pair.place), message);
            } else {
                seen.insert(pair.key.clone(), pair.place.line);
                first.push(pair);
            }
        }
        first
    }

    /// The parser's texts are fixed but for this one, which quotes a character of the file.
    fn syntax(&mut self, error: &ScanError) {
        let what = match error.info() {
            info if info.starts_with("unexpected character") => "unexpected character",
            info => info,
        };
        let place = self.place(error.marker());
        self.report.say(
            Code::YamlSyntax,
            Some(place),
            format!("no valid YAML: {what}"),
        );
    }

    fn place(&self, marker: &Marker) -> Place {
        let shift = if marker.line() == 1 { self.shift } else { 0 };
        Place {
            line: marker.line() as u32,
            column: marker.col().saturating_sub(shift) as u32 + 1,
        }
    }
}
