//! The keys whose values a file marks as secret, found in files with faults, too.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::yaml11::{Scalar, resolve};
use super::{is_similar, yaml};

/// The key of a mapping that names the key of an entry.
pub(super) const KEY: &str = "key";

/// The key of a mapping that marks the values of that entry as secret.
const SECRET: &str = "secret";

/// The keys of entries whose values must not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretKeys {
    /// All: what is secret is not known.
    All,
    /// These.
    Named(HashSet<Box<str>>),
}

/// The key that a mapping names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum NamedKey {
    #[default]
    Absent,
    Named(Box<str>),
    /// Not a scalar, or several.
    Unclear,
}

impl NamedKey {
    /// The key after another value of `key` was read; `None` stands for a value that is not a scalar.
    pub(super) fn and(&self, text: Option<&str>) -> Self {
        match (self, text) {
            (Self::Absent, Some(text)) => Self::Named(text.into()),
            _ => Self::Unclear,
        }
    }
}

impl SecretKeys {
    /// The secret keys of files that may belong together: a key that is secret in one of them is secret in all.
    /// [`SecretKeys::All`] if one of them cannot be read to its end.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut found = FoundKeys::default();
        for text in texts {
            let (text, _) = yaml::prepare(text);
            let mut frames = Vec::new();
            for event in Parser::new_from_str(&text) {
                let Ok((event, _)) = event else {
                    return Self::All;
                };
                found.push(&event, &mut frames);
            }
        }
        if found.is_unclear {
            return Self::All;
        }
        if !found.secret.is_empty() {
            found.secret.extend(found.merged);
        }
        Self::Named(found.secret)
    }

    /// Whether the values beside that key are hidden.
    pub(super) fn hides(&self, key: &NamedKey) -> bool {
        match (self, key) {
            (Self::Named(secret), NamedKey::Named(key)) => secret.contains(key),
            _ => true,
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct FoundKeys {
    secret: HashSet<Box<str>>,
    /// Keys of mappings with a merge, which may bring a mark from elsewhere.
    merged: HashSet<Box<str>>,
    /// There is a mark whose key is not known.
    is_unclear: bool,
}

enum KeyFrame {
    List,
    Map(Marked),
}

/// A mapping that is not complete.
#[derive(Default)]
struct Marked {
    /// The key whose value comes next.
    before: Option<Box<str>>,
    named: NamedKey,
    is_secret: bool,
    is_merged: bool,
}

impl FoundKeys {
    fn push(&mut self, event: &Event<'_>, frames: &mut Vec<KeyFrame>) {
        match event {
            Event::Scalar(text, style, ..) => begin(frames, Some((text, *style))),
            Event::Alias(_) => begin(frames, None),
            Event::SequenceStart(..) => {
                begin(frames, None);
                frames.push(KeyFrame::List);
            }
            Event::MappingStart(..) => {
                begin(frames, None);
                frames.push(KeyFrame::Map(Marked::default()));
            }
            Event::SequenceEnd => {
                frames.pop();
            }
            Event::MappingEnd => {
                if let Some(KeyFrame::Map(marked)) = frames.pop() {
                    self.add(marked);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, marked: Marked) {
        match marked.named {
            NamedKey::Named(key) if marked.is_secret => {
                self.secret.insert(key);
            }
            NamedKey::Named(key) if marked.is_merged => {
                self.merged.insert(key);
            }
            NamedKey::Named(_) => {}
            NamedKey::Absent | NamedKey::Unclear => self.is_unclear |= marked.is_secret,
        }
    }
}

/// Handles the begin of a node, which is a scalar or not.
fn begin(frames: &mut [KeyFrame], scalar: Option<(&str, ScalarStyle)>) {
    let Some(KeyFrame::Map(marked)) = frames.last_mut() else {
        return;
    };
    let text = scalar.map(|(text, _)| text);
    let Some(key) = marked.before.take() else {
        marked.is_merged |= text == Some("<<");
        marked.before = Some(text.unwrap_or_default().into());
        return;
    };
    if *key == *KEY {
        marked.named = marked.named.and(text);
    } else if is_similar(&key, SECRET) {
        marked.is_secret |= !scalar.is_some_and(is_false);
    }
}

fn is_false((text, style): (&str, ScalarStyle)) -> bool {
    let is = style == ScalarStyle::Plain;
    is && matches!(resolve(text), Scalar::Bool(false) | Scalar::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Vec<String>> {
        match SecretKeys::of([text]) {
            SecretKeys::All => None,
            SecretKeys::Named(keys) => {
                let mut keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                keys.sort();
                Some(keys)
            }
        }
    }

    #[test]
    fn marks_are_found_wherever_they_are() {
        for (text, expected) in [
            (
                "a: [{key: a}, {secret: false, key: b}, {key: c, secret: ~}]",
                &[][..],
            ),
            ("a: [{key: a, b: [{secret: on, key: b}]}]", &["b"]),
            (
                "a: [{key: a, secert: true}, {key: b, secret: pk}]",
                &["a", "b"],
            ),
            // A merge may bring a mark, but only if there is one.
            (
                "a: [&m {key: a, secret: true}, {<<: *m, key: b}]",
                &["a", "b"],
            ),
            ("a: [&m {key: a}, {<<: *m, key: b}]", &[]),
        ] {
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn all_are_secret_if_a_mark_is_unclear() {
        for text in [
            "a: [{kee: a, secret: true}]",
            "a: [{key: [a], secret: true}]",
            "a: [{key: a, key: b, secret: true}]",
            "a: [{key: a}",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
