//! Descriptors on the command line: `key=value`, and a limit that goes with them.

use std::str::FromStr;

use crate::limit::Window;
use crate::request::{Entry, Override, Unit};

/// The entries of one descriptor in one text: `account=a1 endpoint=POST /v2/process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pairs(pub(super) Vec<Entry>);

impl FromStr for Pairs {
    type Err = String;

    /// A value goes on until the next word that looks like `key=…`, so it may hold blanks.
    fn from_str(text: &str) -> Result<Self, String> {
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

/// One `key=value`; the value may hold anything.
pub(super) fn entry(text: &str) -> Result<Entry, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Entry {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        }),
        _ => Err(format!("expected key=value, found {text:?}")),
    }
}

/// Keys are written like names; a path with a query is none.
fn begins_pair(word: &str) -> bool {
    let is_of_name = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    word.split_once('=')
        .is_some_and(|(key, _)| !key.is_empty() && key.chars().all(is_of_name))
}

/// A limit such as `10/minute` or `1/5 minutes`.
pub(super) fn limit(text: &str) -> Result<Override, String> {
    let parsed = || {
        let (requests, window) = text.split_once('/')?;
        let window = window.trim();
        let digits = window.len()
            - window
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let unit_multiplier = match &window[..digits] {
            "" => 1,
            number => number.parse().ok()?,
        };
        let name = window[digits..].trim();
        let unit = Unit::from_name(name).or_else(|| Unit::from_name(name.strip_suffix('s')?))?;
        Window::new(unit, unit_multiplier)?;
        Some(Override {
            requests_per_unit: requests.trim().parse().ok()?,
            unit,
            unit_multiplier,
        })
    };
    parsed().ok_or_else(|| "expected N/UNIT, such as 10/minute or 1/5 minutes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let Pairs(entries) = text.parse().unwrap();
        let pair = |entry: &Entry| (text_of(&entry.key), text_of(&entry.value));
        entries.iter().map(pair).collect()
    }

    fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn a_value_goes_on_until_the_next_pair() {
        assert_eq!(pairs("a=1 b=2"), own(&[("a", "1"), ("b", "2")]));
        assert_eq!(
            pairs("account=a1 endpoint=POST /v2/x?y=1&z=2 region=eu west"),
            own(&[
                ("account", "a1"),
                ("endpoint", "POST /v2/x?y=1&z=2"),
                ("region", "eu west")
            ])
        );
        assert_eq!(pairs("a= b=x=y"), own(&[("a", ""), ("b", "x=y")]));
        for wrong in ["", "a", "=a", " a=1"] {
            assert!(wrong.parse::<Pairs>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn limits_are_written_as_they_are_read() {
        let of = |text| limit(text).map(|l| (l.requests_per_unit, l.unit_multiplier, l.unit));
        assert_eq!(of("10/minute"), Ok((10, 1, Unit::Minute)));
        assert_eq!(of("1/5 minutes"), Ok((1, 5, Unit::Minute)));
        assert_eq!(of("0/2days"), Ok((0, 2, Unit::Day)));
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
