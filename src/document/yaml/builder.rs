//! Builds the tree from the events of the parser, without recursion.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, ScalarStyle, ScanError, Span, Tag};

use super::merge::merged;
use super::syntax::explain;
use super::{Elements, Kind, Node, Pair, Style, Text, TextPlace};
use crate::document::{DocumentCode, Position, Report, quoted};

/// Deeper than 64 levels of descriptors, shallower than any stack.
const MAX_DEPTH: usize = 256;

/// The most nodes that all aliases of a file may expand to together; long text counts as several.
const MAX_ALIASED: usize = 4_000_000;

/// The number of bytes of text that count as one more node.
const NODE_BYTES: usize = 64;

/// The longest text in bytes that is shared.
const SHARED_LEN: usize = 40;

/// The number of texts that are shared: the first ones, which are mostly keys.
const MAX_SHARED: usize = 1_024;

/// The state of the tree while events arrive.
pub(super) struct Builder<'r> {
    text: &'r str,
    report: &'r mut Report,
    elements: Option<&'r mut dyn Elements>,
    shift: usize,
    frames: Vec<Frame>,
    /// The node of each anchor, and how many nodes it contains.
    anchors: HashMap<usize, (Node, usize)>,
    texts: HashSet<Text>,
    aliased: usize,
    root: Option<Node>,
    /// Where a further document begins, until its first node shows whether it is empty.
    next_document: Option<Position>,
}

/// A list or a mapping that is not complete.
struct Frame {
    position: Position,
    anchor: usize,
    size: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    /// A list whose elements are passed on, and the number of such lists around it.
    PassedOn(usize),
    Map(Vec<Pair>, Option<PendingKey>),
}

/// A key that waits for its node; `None` if it was not text, which is reported already.
type PendingKey = Option<(Text, Style, Position)>;

impl<'r> Builder<'r> {
    /// A builder for a text whose first line is preceded by `shift` added characters.
    pub(super) fn new(
        text: &'r str,
        elements: Option<&'r mut dyn Elements>,
        shift: usize,
        report: &'r mut Report,
    ) -> Self {
        Self {
            text,
            report,
            elements,
            shift,
            frames: Vec::new(),
            anchors: HashMap::new(),
            texts: HashSet::new(),
            aliased: 0,
            root: None,
            next_document: None,
        }
    }

    /// The root; null if there is none.
    pub(super) fn finish(self) -> Node {
        self.root.unwrap_or_else(|| Node {
            position: Position { line: 1, column: 1 },
            kind: Kind::Scalar("".into(), Style::Plain),
        })
    }

    /// Adds the next event; `false` after a fault that ends the reading.
    pub(super) fn push(&mut self, event: Result<(Event<'_>, Span), ScanError>) -> bool {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                self.report_syntax(&error);
                return false;
            }
        };
        let position = self.position(&span.start);
        if let Some(start) = self.next_document
            && !is_empty_document(&event)
        {
            let message = "the file has more than one YAML document";
            self.report
                .add(DocumentCode::MultipleDocuments, Some(start), message);
            return false;
        }
        match event {
            Event::Scalar(..) if self.next_document.is_some() => {}
            Event::DocumentEnd if self.root.as_ref().is_some_and(Node::is_null) => self.root = None,
            Event::DocumentStart(_) if self.root.is_some() => self.next_document = Some(position),
            Event::Scalar(text, style, anchor, tag) => {
                let mut plain = style == ScalarStyle::Plain;
                plain &= self.is_text_tag(tag.as_deref(), position) != Some(true);
                let style = match plain {
                    true => Style::Plain,
                    false => Style::Quoted(text_place(&text, style, &span)),
                };
                let size = 1 + text.len() / NODE_BYTES;
                let kind = Kind::Scalar(self.share(&text), style);
                self.complete(anchor, size, Node { position, kind });
            }
            Event::SequenceStart(anchor, tag) => {
                self.is_text_tag(tag.as_deref(), position);
                let inside = match self.depth_if_passed_on().filter(|_| anchor == 0) {
                    Some(depth) => Inside::PassedOn(depth),
                    None => Inside::List(Vec::new()),
                };
                return self.open(position, anchor, inside);
            }
            Event::MappingStart(anchor, tag) => {
                self.is_text_tag(tag.as_deref(), position);
                return self.open(position, anchor, Inside::Map(Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => return self.alias(anchor, position),
            _ => {}
        }
        true
    }

    /// Whether a tag makes a scalar text; other tags than those of the core schema are an error.
    fn is_text_tag(&mut self, tag: Option<&Tag>, position: Position) -> Option<bool> {
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
        self.report.add(
            DocumentCode::UnknownTag,
            Some(position),
            "unsupported YAML tag",
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
        if self.texts.len() < MAX_SHARED {
            self.texts.insert(shared.clone());
        }
        shared
    }

    /// If the elements of a list that begins here are passed on: the number of such lists around it.
    fn depth_if_passed_on(&self) -> Option<usize> {
        let key = self.elements.as_ref()?.key();
        let (frame, above) = self.frames.split_last()?;
        let Inside::Map(pairs, Some(Some((own, ..)))) = &frame.inside else {
            return None;
        };
        // The list of a repeated key is ignored.
        if **own != *key || pairs.iter().any(|pair| *pair.key == *key) {
            return None;
        }
        match above.last().map(|list| &list.inside) {
            None => Some(0),
            Some(Inside::PassedOn(depth)) if frame.anchor == 0 => Some(depth + 1),
            Some(_) => None,
        }
    }

    fn open(&mut self, position: Position, anchor: usize, inside: Inside) -> bool {
        if self.frames.len() >= MAX_DEPTH {
            let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep");
            self.report
                .add(DocumentCode::NestedTooDeeply, Some(position), message);
            return false;
        }
        self.frames.push(Frame {
            position,
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
            Inside::PassedOn(_) => Kind::List(Rc::default()),
            Inside::Map(pairs, _) => {
                let pairs = self.without_repeated(pairs);
                Kind::Map(merged(pairs, self.report).into())
            }
        };
        let position = frame.position;
        self.complete(frame.anchor, frame.size, Node { position, kind });
    }

    /// Adds a complete node to the list or mapping that it is in.
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
            Inside::PassedOn(depth) => {
                if let Some(elements) = &mut self.elements {
                    elements.push(&node, *depth, self.report);
                }
            }
            Inside::Map(pairs, waiting) => match waiting.take() {
                Some(Some((key, style, position))) => pairs.push(Pair {
                    key,
                    style,
                    position,
                    node,
                }),
                Some(None) => {}
                None => {
                    *waiting = Some(match node.kind {
                        Kind::Scalar(text, style) => Some((text, style, node.position)),
                        _ => {
                            let message = "the key of a mapping must be text";
                            self.report
                                .add(DocumentCode::WrongType, Some(node.position), message);
                            None
                        }
                    });
                }
            },
        }
    }

    fn alias(&mut self, anchor: usize, position: Position) -> bool {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            let message = "an alias inside the node it refers to";
            self.report
                .add(DocumentCode::RecursiveAlias, Some(position), message);
            return false;
        };
        self.aliased += size;
        if self.aliased > MAX_ALIASED {
            let message =
                format!("the aliases of the file expand to more than {MAX_ALIASED} nodes");
            self.report
                .add(DocumentCode::TooLarge, Some(position), message);
            return false;
        }
        self.complete(0, size, node);
        true
    }

    /// The first pair of each key; the others are reported.
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
                    format!("the key {key} is repeated in one mapping, first on line {line}");
                self.report
                    .add(DocumentCode::RepeatedKey, Some(pair.position), message);
            } else {
                seen.insert(pair.key.clone(), pair.position.line);
                first.push(pair);
            }
        }
        first
    }

    /// Reports a syntax error.
    fn report_syntax(&mut self, error: &ScanError) {
        let fault = explain(self.text, error);
        let position = fault
            .position
            .unwrap_or_else(|| self.position(error.marker()));
        let code = DocumentCode::YamlSyntax;
        self.report
            .add_with_help(code, Some(position), fault.message, fault.help);
    }

    fn position(&self, marker: &Marker) -> Position {
        let shift = if marker.line() == 1 { self.shift } else { 0 };
        Position {
            line: marker.line() as u32,
            column: marker.col().saturating_sub(shift) as u32 + 1,
        }
    }
}

/// Where the text of a scalar is.
fn text_place(text: &str, style: ScalarStyle, span: &Span) -> TextPlace {
    let is_one_line = span.start.line() == span.end.line();
    let len = span.end.index() - span.start.index();
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
            if is_one_line && len == text.chars().count() + 2 =>
        {
            TextPlace::InQuotes
        }
        ScalarStyle::Literal if !text.starts_with('\n') => TextPlace::InBlock,
        _ => TextPlace::Rewritten,
    }
}

/// Whether the event belongs to a document without content, such as the one after a final `---`.
fn is_empty_document(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, 0, None) => text.is_empty(),
        Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamEnd | Event::Nothing => true,
        _ => false,
    }
}
