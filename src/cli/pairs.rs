//! Descriptors on the command line: `key=value` arguments and a limit override.

use std::str::FromStr;

use thiserror::Error;

use crate::limit::Rate;
use crate::request::{Entry, Override};

/// The text is not `key=value`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected KEY=VALUE, found {0:?}; the domain is given with --domain")]
pub(super) struct InvalidPair(String);

/// The text is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write it as \"600 per minute\" or \"1 per 5 minutes\"")]
pub(super) struct InvalidLimit;

/// The entries of one descriptor in one text: `account={account} endpoint={method} {path}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pairs(pub(super) Vec<Entry>);

impl FromStr for Pairs {
    type Err = InvalidPair;

    /// A value ends before the next word that looks like `key=…`, so it may contain spaces.
    fn from_str(text: &str) -> Result<Self, InvalidPair> {
        let mut pairs: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match pairs.last_mut() {
                Some(last) if !begins_pair(word) => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => pairs.push(word.to_owned()),
            }
        }
        let entries = pairs.iter().map(|pair| entry(pair.trim_end()));
        entries.collect::<Result<_, _>>().map(Self)
    }
}

/// Parses `key=value`; the value is not restricted.
fn entry(text: &str) -> Result<Entry, InvalidPair> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Entry {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        }),
        _ => Err(InvalidPair(text.to_owned())),
    }
}

/// A key is a name, so a path with a query does not start an entry.
fn begins_pair(word: &str) -> bool {
    let is_name_char = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    word.split_once('=')
        .is_some_and(|(key, _)| !key.is_empty() && key.chars().all(is_name_char))
}

/// One of the arguments that make up the descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryArg {
    Entry(Entry),
    /// `+`: the next descriptor starts.
    Next,
}

/// Parses `key=value`, or a separate `+`.
pub(super) fn entry_arg(text: &str) -> Result<EntryArg, InvalidPair> {
    match text {
        "+" => Ok(EntryArg::Next),
        text => entry(text).map(EntryArg::Entry),
    }
}

/// The entries of each descriptor.
pub(super) fn descriptors(args: &[EntryArg]) -> impl Iterator<Item = Vec<Entry>> {
    args.split(|arg| *arg == EntryArg::Next).map(|args| {
        let entries = args.iter().filter_map(|arg| match arg {
            EntryArg::Entry(entry) => Some(entry.clone()),
            EntryArg::Next => None,
        });
        entries.collect()
    })
}

/// Parses a limit such as `10/minute` or `1 per 5 minutes`.
pub(super) fn limit(text: &str) -> Result<Override, InvalidLimit> {
    let rate = Rate::parse(text).map(Override::from);
    rate.ok_or(InvalidLimit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Unit;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let Pairs(entries) = text.parse().unwrap();
        let pair = |entry: &Entry| (text_of(&entry.key), text_of(&entry.value));
        entries.iter().map(pair).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_value_ends_before_the_next_pair() {
        assert_eq!(pairs("a=1 b=2"), owned(&[("a", "1"), ("b", "2")]));
        assert_eq!(
            pairs("account=a1 endpoint=POST /v2/x?y=1&z=2 region=eu west"),
            owned(&[
                ("account", "a1"),
                ("endpoint", "POST /v2/x?y=1&z=2"),
                ("region", "eu west")
            ])
        );
        assert_eq!(pairs("a= b=x=y"), owned(&[("a", ""), ("b", "x=y")]));
        for wrong in ["", "a", "=a", " a=1"] {
            assert!(wrong.parse::<Pairs>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_plus_starts_the_next_descriptor() {
        let args = ["a=1", "b=x y", "+", "c="].map(|text| entry_arg(text).unwrap());
        let descriptors: Vec<_> = descriptors(&args).collect();
        assert_eq!(descriptors.len(), 2);
        assert_eq!(descriptors[0][1].value, "x y");
        assert_eq!(descriptors[1][0].key, "c");
        for wrong in ["a", "=a", ""] {
            assert!(entry_arg(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn limits_are_parsed() {
        let of = |text| limit(text).map(|l| (l.requests_per_unit, l.unit_multiplier, l.unit));
        assert_eq!(of("10/minute"), Ok((10, 1, Unit::Minute)));
        assert_eq!(of("1/5 minutes"), Ok((1, 5, Unit::Minute)));
        assert_eq!(of("0 per 2 days"), Ok((0, 2, Unit::Day)));
        for wrong in [
            "10",
            "/minute",
            "10/",
            "10/0 minutes",
            "x/minute",
            "1/11 years",
            "-1/day",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
