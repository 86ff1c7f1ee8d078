//! Lines of a file that can be shown: what may be the value of a descriptor is masked.
//!
//! A line is shown as wide as it is, so that columns stay. Shown are the keys of the language and
//! what stands under those that hold no value; all else, such as what follows a syntax error or
//! stands under a misspelt key, might be an API key.

use std::collections::BTreeSet;
use std::ops::Range;

use saphyr_parser::{Event, Parser};

use super::keys::{KEYS, Key, Shape};
use super::yaml;
use crate::policy::Place;
use crate::policy::report::is_near;

/// A line of a file, with `*` for what is not to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Without its end, and without comments.
    pub line: String,
    /// Where what stands at the place ends: the first column after it.
    pub end_column: u32,
}

/// Nobody reads longer lines.
const MAX_CHARS: usize = 500;

/// The lines of `places`, each masked; none for a place without a line, or with a very long one.
pub fn excerpts(text: &str, places: &[Place]) -> Vec<Option<Excerpt>> {
    let wanted: BTreeSet<u32> = places.iter().map(|place| place.line).collect();
    let mut lines = lines(text, &wanted);
    find_scalars(text, &mut lines);
    let excerpt = |place: &Place| {
        let at = lines.binary_search_by_key(&place.line, |line| line.number);
        lines.get(at.ok()?)?.excerpt(place.column)
    };
    places.iter().map(excerpt).collect()
}

/// A line that is wanted. Positions are in characters of the whole text.
#[derive(Debug)]
struct Line {
    number: u32,
    start: usize,
    chars: Vec<char>,
    scalars: Vec<(Range<usize>, bool)>,
}

/// The wanted lines, by number.
fn lines(text: &str, wanted: &BTreeSet<u32>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    let mut number = 1;
    while let Some((start, _)) = chars.peek().copied() {
        let mut line = Vec::new();
        while let Some((_, c)) = chars.next() {
            if c == '\r' && chars.next_if(|(_, next)| *next == '\n').is_some() {
                break;
            }
            if c == '\r' || c == '\n' {
                break;
            }
            if line.len() <= MAX_CHARS {
                line.push(c);
            }
        }
        if wanted.contains(&number) && line.len() <= MAX_CHARS {
            lines.push(Line {
                number,
                start,
                chars: line,
                scalars: Vec::new(),
            });
        }
        number += 1;
    }
    lines
}

/// What of a part of the tree may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    /// Its keys, and what stands under them as they say.
    ByKey,
    Nothing,
}

/// A list, or a mapping and what the next node in it is.
#[derive(Clone, Copy, Debug)]
enum Frame {
    List(Shown),
    Key(Shown),
    Under(Shown, Shown),
}

/// Says of every scalar in the lines where it is, and whether it may be shown.
fn find_scalars(text: &str, lines: &mut [Line]) {
    let (text, shift) = yaml::prepared(text);
    let mut frames: Vec<Frame> = Vec::new();
    // The last key, as long as nobody knows whether it is one: `{value: a, b}` makes a key of what
    // was meant as a part of the value.
    let mut doubtful: Option<Range<usize>> = None;
    for event in Parser::new_from_str(&text) {
        // What comes after an error is in no scalar, and so not shown.
        let Ok((event, span)) = event else { return };
        if let Some(range) = doubtful.take() {
            let is_nothing = matches!(&event, Event::Scalar(text, ..) if text.is_empty());
            add_scalar(lines, &range, !is_nothing);
        }
        match event {
            Event::Scalar(text, ..) => {
                let shown = enter_scalar(&mut frames, &text);
                let range = span.start.index().saturating_sub(shift)
                    ..span.end.index().saturating_sub(shift);
                let is_key = matches!(frames.last(), Some(Frame::Under(Shown::ByKey, _)));
                if shown && is_key && !is_known(&text) {
                    doubtful = Some(range);
                } else if !text.is_empty() {
                    add_scalar(lines, &range, shown);
                }
            }
            Event::Alias(_) => {
                enter_scalar(&mut frames, "");
            }
            Event::SequenceStart(..) => {
                let shown = enter(&mut frames);
                frames.push(Frame::List(shown));
            }
            Event::MappingStart(..) => {
                let shown = enter(&mut frames);
                frames.push(Frame::Key(shown));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                frames.pop();
            }
            _ => {}
        }
    }
}

/// A scalar begins: whether it may be shown.
fn enter_scalar(frames: &mut [Frame], text: &str) -> bool {
    if let Some(frame @ Frame::Key(_)) = frames.last_mut()
        && let Frame::Key(own) = *frame
    {
        let below = match own {
            Shown::ByKey => under(text),
            Shown::All | Shown::Nothing => own,
        };
        *frame = Frame::Under(own, below);
        return own != Shown::Nothing;
    }
    enter(frames) == Shown::All
}

/// Something begins that is no scalar, or no key: what of it may be shown.
fn enter(frames: &mut [Frame]) -> Shown {
    match frames.last_mut() {
        None => Shown::ByKey,
        Some(Frame::List(shown)) => *shown,
        Some(frame) => match *frame {
            Frame::Under(own, below) => {
                *frame = Frame::Key(own);
                below
            }
            // A list or a mapping in place of a key.
            Frame::Key(own) | Frame::List(own) => {
                *frame = Frame::Under(own, Shown::Nothing);
                Shown::Nothing
            }
        },
    }
}

/// Whether it is a key of the language.
fn is_known(name: &str) -> bool {
    KEYS.iter().any(|key| key.name == name)
}

/// What may be shown under a key of that name, or under all those that may be meant by it.
fn under(name: &str) -> Shown {
    if name == "<<" {
        return Shown::ByKey;
    }
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return under_key(key);
    }
    let near = KEYS.iter().filter(|key| is_near(name, key.name));
    let shown = near.map(under_key);
    shown
        .reduce(|one, other| if one == other { one } else { Shown::Nothing })
        .unwrap_or(Shown::Nothing)
}

fn under_key(key: &Key) -> Shown {
    match key.shape {
        // `secret: pk_live_…` is an easy mistake.
        _ if key.name == "secret" => Shown::Nothing,
        Shape::Value | Shape::Values | Shape::Hash | Shape::Pattern => Shown::Nothing,
        Shape::Blocks | Shape::Captures => Shown::Nothing,
        Shape::Descriptors | Shape::RateLimit | Shape::Replaces => Shown::ByKey,
        Shape::Response | Shape::OverLimit => Shown::ByKey,
        Shape::Text | Shape::Flag | Shape::Number(_) | Shape::Unit => Shown::All,
        Shape::Word(_) | Shape::Sets | Shape::Metadata | Shape::Headers => Shown::All,
    }
}

fn add_scalar(lines: &mut [Line], range: &Range<usize>, shown: bool) {
    let from = lines.partition_point(|line| line.start + line.chars.len() <= range.start);
    for line in &mut lines[from..] {
        if line.start >= range.end {
            return;
        }
        let start = range.start.max(line.start) - line.start;
        let end = (range.end - line.start).min(line.chars.len());
        if start < end {
            line.scalars.push((start..end, shown));
        }
    }
}

impl Line {
    fn excerpt(&self, column: u32) -> Option<Excerpt> {
        let at = (column as usize).checked_sub(1)?;
        let mut line = self.masked();
        let text_len = line.trim_end().chars().count();
        line.truncate(line.trim_end().len());
        let scalar = self.scalars.iter().find(|(range, _)| range.start == at);
        let end = scalar.map_or(at + 1, |(range, _)| range.end.min(text_len));
        Some(Excerpt {
            line,
            end_column: end.max(at + 1) as u32 + 1,
        })
    }

    fn masked(&self) -> String {
        let mut shown = self.shown_between();
        for (range, is_shown) in &self.scalars {
            shown[range.clone()].fill(Some(*is_shown));
        }
        let mut line = String::with_capacity(self.chars.len());
        for (c, shown) in self.chars.iter().zip(shown) {
            line.push(match shown {
                None => break,
                Some(false) => '*',
                Some(true) if *c == '\t' => ' ',
                Some(true) if c.is_control() => '\u{fffd}',
                Some(true) => *c,
            });
        }
        line
    }

    /// Whether each character may be shown if it is in no scalar: signs, spaces, and the keys of
    /// the language. None begins a comment.
    fn shown_between(&self) -> Vec<Option<bool>> {
        let is_sign = |c: char| c.is_whitespace() || "-:?,[]{}&*!|>'\"%@`".contains(c);
        let mut shown = Vec::with_capacity(self.chars.len());
        while shown.len() < self.chars.len() {
            let at = shown.len();
            let word_len = self.chars[at..]
                .iter()
                .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
                .count();
            if word_len > 0 {
                let word: String = self.chars[at..at + word_len].iter().collect();
                shown.resize(at + word_len, Some(is_known(&word)));
                continue;
            }
            let is_comment =
                self.chars[at] == '#' && (at == 0 || self.chars[at - 1].is_whitespace());
            shown.push((!is_comment).then_some(is_sign(self.chars[at])));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: u32, column: u32) -> Option<(String, u32)> {
        let excerpt = excerpts(text, &[Place { line, column }]).remove(0)?;
        Some((excerpt.line, excerpt.end_column))
    }

    fn line(text: &str, number: u32) -> String {
        at(text, number, 1).unwrap().0
    }

    #[test]
    fn what_may_be_a_value_is_masked_and_the_rest_is_shown() {
        let text = "domain: shop # pk_live\n\
                    descriptors:\n\
                    - {key: a, value: pk_live, rate_limit: {unit: hour}}\n\
                    - key: b\n  values: [pk_live,\n    pk_live]\n  secret: pk_live\n\
                    \x20 metadata: {tier: gold}\n  valeu: pk_live\n  descriptors: [pk_live]\n";
        assert_eq!(line(text, 1), "domain: shop");
        let third = "- {key: a, value: *******, rate_limit: {unit: hour}}";
        assert_eq!(line(text, 3), third);
        assert_eq!(line(text, 5), "  values: [*******,");
        assert_eq!(line(text, 6), "    *******]");
        assert_eq!(line(text, 7), "  secret: *******");
        assert_eq!(line(text, 8), "  metadata: {tier: gold}");
        assert_eq!(line(text, 9), "  valeu: *******");
        let flow = "descriptors: [{value: a, pk_live}]";
        assert_eq!(line(flow, 1), "descriptors: [{value: *, *******}]");
        assert_eq!(line(text, 10), "  descriptors: [*******]");
    }

    #[test]
    fn a_place_ends_where_its_scalar_does() {
        let text = "domain: shop\ndescriptors:\n- {key: \"a b\", value: é}\n";
        assert_eq!(at(text, 1, 9).unwrap().1, 13);
        assert_eq!(at(text, 3, 9).unwrap().1, 14);
        assert_eq!(at(text, 3, 3).unwrap().1, 4);
        assert_eq!(at(text, 4, 1), None);
    }

    #[test]
    fn after_a_syntax_error_only_keys_are_shown() {
        let text = "domain: d\ndescriptors:\n- {key: k, value: \"pk\\q\", unit pk}\n";
        assert_eq!(line(text, 3), "- {key: *, value: \"****\", unit **}");
    }

    #[test]
    fn lines_end_as_yaml_says() {
        let text = "domain: d\rdescriptors: []\r\nresponse: {}\n";
        assert_eq!(line(text, 2), "descriptors: []");
        assert_eq!(line(text, 3), "response: {}");
        let json = "{\"domain\": \"d\", \"descriptors\": [{\"key\": \"a\", \"value\": \"pk\"}]}";
        assert!(line(json, 1).ends_with("\"key\": \"a\", \"value\": ****}]}"));
    }

    #[test]
    fn a_very_long_line_is_not_shown() {
        let text = format!("domain: {}\nshadow_mode: x\n", "d".repeat(MAX_CHARS));
        assert_eq!(at(&text, 1, 1), None);
        assert_eq!(line(&text, 2), "shadow_mode: x");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(
            line("domain: \"a\u{1b}[2J\tb\"", 1),
            "domain: \"a\u{fffd}[2J b\""
        );
    }
}
