//! Lines of a file that can be shown: everything that may be the value of a secret key is masked.
//!
//! A masked line keeps its width, so that columns stay. Shown are the keys of the language and their values, but those
//! beside a secret key. Everything else, such as text after a syntax error or below a misspelled key, might be an API
//! key.

use std::collections::BTreeSet;
use std::ops::Range;

use saphyr_parser::{Event, Parser};

use super::secret_keys::{KEY, NamedKey};
use super::{Position, SecretKeys, is_similar, yaml};

/// A line of a file, with `*` for each hidden character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Without its end, and without comments.
    pub line: String,
    /// The first column after the scalar at the position.
    pub end_column: u32,
}

/// What may be shown of the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// All of it.
    Shown,
    /// Its keys, and each value according to its key.
    ByKey,
    /// All of it, unless its mapping names a secret key.
    UnlessSecret,
    /// Nothing.
    Hidden,
}

/// The keys of a language, and the visibility of their values.
#[derive(Clone, Copy)]
struct KeyVisibilities<'k>(&'k [(&'k str, Visibility)]);

/// Longer lines are not shown.
const MAX_CHARS: usize = 500;

/// The lines of `positions`, each masked; `None` for a position outside the text or on a very long line.
pub fn excerpts(
    text: &str,
    positions: &[Position],
    keys: &[(&str, Visibility)],
    secrets: &SecretKeys,
) -> Vec<Option<Excerpt>> {
    let keys = KeyVisibilities(keys);
    let wanted: BTreeSet<u32> = positions.iter().map(|position| position.line).collect();
    let mut lines = lines(text, &wanted);
    find_scalars(text, keys, secrets, &mut lines);
    let excerpt = |position: &Position| {
        let at = lines.binary_search_by_key(&position.line, |line| line.number);
        lines.get(at.ok()?)?.excerpt(position.column, keys)
    };
    positions.iter().map(excerpt).collect()
}

/// A wanted line. Positions are in characters of the whole text.
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

/// A list or mapping that is being read, and the role of the next node in it.
#[derive(Clone, Copy, Debug)]
enum MaskFrame {
    List(Visibility),
    Key(Visibility),
    Under(Visibility, Visibility),
}

/// A mapping whose keys are those of the language.
#[derive(Debug, Default)]
struct MaskedEntry {
    key: NamedKey,
    is_key_next: bool,
    /// The scalars that may be shown unless the key is secret.
    pending: Vec<Range<usize>>,
}

/// Adds to the lines the range of every scalar and whether it may be shown.
fn find_scalars(text: &str, keys: KeyVisibilities<'_>, secrets: &SecretKeys, lines: &mut [Line]) {
    let (text, shift) = yaml::prepare(text);
    let mut frames: Vec<MaskFrame> = Vec::new();
    let mut entries: Vec<MaskedEntry> = Vec::new();
    // The last unknown key, until its value shows whether it is one: in `{value: a, b}`, `b` is a key without a value
    // that was meant as a part of the value.
    let mut unconfirmed: Option<Range<usize>> = None;
    for event in Parser::new_from_str(&text) {
        // Text after an error is not part of a scalar, so it is hidden.
        let Ok((event, span)) = event else { return };
        if let Some(range) = unconfirmed.take() {
            let is_empty = matches!(&event, Event::Scalar(text, ..) if text.is_empty());
            add_scalar(lines, &range, !is_empty);
        }
        match event {
            Event::Scalar(text, ..) => {
                let shown = enter_scalar(&mut frames, keys, &text);
                let range = span.start.index().saturating_sub(shift)
                    ..span.end.index().saturating_sub(shift);
                let is_key = matches!(frames.last(), Some(MaskFrame::Under(Visibility::ByKey, _)));
                let entry = entries.last_mut();
                if let Some(entry) = entry {
                    entry.begin(Some(&text), is_key);
                    if shown == Visibility::UnlessSecret {
                        entry.pending.push(range);
                        continue;
                    }
                }
                let shown = shown == Visibility::Shown;
                if shown && is_key && !keys.is_known(&text) {
                    unconfirmed = Some(range);
                } else if !text.is_empty() {
                    add_scalar(lines, &range, shown);
                }
            }
            Event::Alias(_) => {
                enter_scalar(&mut frames, keys, "");
                begin_other(&mut entries);
            }
            Event::SequenceStart(..) => {
                let shown = enter(&mut frames);
                begin_other(&mut entries);
                frames.push(MaskFrame::List(shown));
            }
            Event::MappingStart(..) => {
                let shown = enter(&mut frames);
                begin_other(&mut entries);
                frames.push(MaskFrame::Key(shown));
                if shown == Visibility::ByKey {
                    entries.push(MaskedEntry::default());
                }
            }
            Event::SequenceEnd => {
                frames.pop();
            }
            Event::MappingEnd => {
                if let Some(MaskFrame::Key(Visibility::ByKey)) = frames.pop()
                    && let Some(entry) = entries.pop()
                {
                    let is_shown = !secrets.hides(&entry.key);
                    for range in entry.pending {
                        add_scalar(lines, &range, is_shown);
                    }
                }
            }
            _ => {}
        }
    }
}

impl MaskedEntry {
    /// Handles the begin of a node: a key of the mapping, or a value that is a scalar or not.
    fn begin(&mut self, scalar: Option<&str>, is_key: bool) {
        if is_key {
            self.is_key_next = scalar == Some(KEY);
        } else if std::mem::take(&mut self.is_key_next) {
            self.key = self.key.and(scalar);
        }
    }
}

fn begin_other(entries: &mut [MaskedEntry]) {
    if let Some(entry) = entries.last_mut() {
        entry.begin(None, false);
    }
}

/// Handles the begin of a scalar; returns its visibility.
fn enter_scalar(frames: &mut [MaskFrame], keys: KeyVisibilities<'_>, text: &str) -> Visibility {
    if let Some(frame @ MaskFrame::Key(_)) = frames.last_mut()
        && let MaskFrame::Key(own) = *frame
    {
        let below = match own {
            Visibility::ByKey => keys.below(text),
            Visibility::Shown | Visibility::UnlessSecret | Visibility::Hidden => own,
        };
        *frame = MaskFrame::Under(own, below);
        return match own {
            Visibility::ByKey => Visibility::Shown,
            own => own,
        };
    }
    enter(frames)
}

/// Handles the begin of a value; returns its visibility.
fn enter(frames: &mut [MaskFrame]) -> Visibility {
    match frames.last_mut() {
        None => Visibility::ByKey,
        Some(MaskFrame::List(shown)) => *shown,
        Some(frame) => match *frame {
            MaskFrame::Under(own, below) => {
                *frame = MaskFrame::Key(own);
                below
            }
            // A list or a mapping as a key.
            MaskFrame::Key(own) | MaskFrame::List(own) => {
                *frame = MaskFrame::Under(own, Visibility::Hidden);
                Visibility::Hidden
            }
        },
    }
}

impl KeyVisibilities<'_> {
    fn is_known(self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == name)
    }

    /// The visibility below a key of that name, or below every key that it may be a misspelling of.
    fn below(self, name: &str) -> Visibility {
        if name == "<<" {
            return Visibility::ByKey;
        }
        if let Some((_, below)) = self.0.iter().find(|(key, _)| *key == name) {
            return *below;
        }
        let similar = self.0.iter().filter(|(key, _)| is_similar(name, key));
        similar
            .map(|(_, below)| *below)
            .reduce(|one, other| {
                if one == other {
                    one
                } else {
                    Visibility::Hidden
                }
            })
            .unwrap_or(Visibility::Hidden)
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
    fn excerpt(&self, column: u32, keys: KeyVisibilities<'_>) -> Option<Excerpt> {
        let at = (column as usize).checked_sub(1)?;
        let mut line = self.masked(keys);
        let text_len = line.trim_end().chars().count();
        line.truncate(line.trim_end().len());
        let scalar = self.scalars.iter().find(|(range, _)| range.start == at);
        let end = scalar.map_or(at + 1, |(range, _)| range.end.min(text_len));
        Some(Excerpt {
            line,
            end_column: end.max(at + 1) as u32 + 1,
        })
    }

    fn masked(&self, keys: KeyVisibilities<'_>) -> String {
        let mut shown = self.shown_between(keys);
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

    /// Whether each character may be shown if it is outside scalars: punctuation, spaces, and the keys of the
    /// language. `None` begins a comment.
    fn shown_between(&self, keys: KeyVisibilities<'_>) -> Vec<Option<bool>> {
        let is_punctuation = |c: char| c.is_whitespace() || "-:?,[]{}&*!|>'\"%@`".contains(c);
        let mut shown = Vec::with_capacity(self.chars.len());
        while shown.len() < self.chars.len() {
            let at = shown.len();
            let word_len = self.chars[at..]
                .iter()
                .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
                .count();
            if word_len > 0 {
                let word: String = self.chars[at..at + word_len].iter().collect();
                shown.resize(at + word_len, Some(keys.is_known(&word)));
                continue;
            }
            let is_comment =
                self.chars[at] == '#' && (at == 0 || self.chars[at - 1].is_whitespace());
            shown.push((!is_comment).then_some(is_punctuation(self.chars[at])));
        }
        shown
    }
}
