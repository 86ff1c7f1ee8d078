//! Values as Go's programs read them from the environment.

use std::time::Duration;

use thiserror::Error;

/// The text is not a value of its kind. It does not quote the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected {0}")]
pub struct InvalidValue(pub &'static str);

/// What a value is read into.
type Parsed<T> = Result<T, InvalidValue>;

/// Puts a value where it belongs.
pub(super) fn set<T>(target: &mut T, value: Parsed<T>) -> Parsed<()> {
    *target = value?;
    Ok(())
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(InvalidValue("true or false")),
    }
}

pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse()
        .map_err(|_| InvalidValue("a port from 0 to 65535"))
}

/// A whole number that is not negative.
pub(super) fn count(text: &str) -> Parsed<u64> {
    text.parse()
        .map_err(|_| InvalidValue("a whole number, 0 or more"))
}

/// A number from 0 to 1.
pub(super) fn ratio(text: &str) -> Parsed<f64> {
    let ratio = text.parse().ok();
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or(InvalidValue("a number from 0 to 1"))
}

/// A length of time such as `1h30m`, `150us` or `0`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    const EXPECTED: InvalidValue =
        InvalidValue("a duration that is not negative, such as 10s, 1h30m or 150us");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut sum = (!rest.is_empty()).then_some(Duration::ZERO);
    while !rest.is_empty() {
        let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
        let number_end = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(number_end);
        let unit_end = behind.find(is_of_number).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        sum = sum.and_then(|sum| sum.checked_add(of_unit(number, unit)?));
        rest = behind;
    }
    sum.ok_or(EXPECTED)
}

fn of_unit(number: &str, unit: &str) -> Option<Duration> {
    let unit_secs = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * unit_secs).ok()
}

/// Names and values, `name:value,name:value` if `separator` is a colon.
pub(super) fn pairs(text: &str, separator: char) -> Parsed<Vec<(String, String)>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let pair = |pair: &str| {
        let (name, value) = pair.split_once(separator)?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    let pairs = text.split(',').map(pair).collect::<Option<_>>();
    pairs.ok_or(match separator {
        ':' => InvalidValue("a list such as name:value,name:value"),
        _ => InvalidValue("a list such as name=value,name=value"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_go() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["", "yes", "on", "tRUE", " true", "2"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, micros) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000_000),
            ("1h30m", 5_400_000_000),
            ("150us", 150),
            ("150µs", 150),
            ("1.5s", 1_500_000),
            (".5s", 500_000),
            ("+2ms", 2_000),
            ("24h", 86_400_000_000),
            ("1000ns", 1),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "", "10", "s", "-1s", "1 s", "1d", "1.2.3s", "1e3s", "ten", "+",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_are_separated_by_commas() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let both = vec![pair("a", "b"), pair("c", "d:e")];
        assert_eq!(pairs("a:b,c:d:e", ':'), Ok(both));
        assert_eq!(pairs("a=b", '='), Ok(vec![pair("a", "b")]));
        assert_eq!(pairs("", ':'), Ok(Vec::new()));
        for wrong in ["a", "a:b,", ":b", "a=b"] {
            assert!(pairs(wrong, ':').is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_ranges() {
        assert_eq!(port("8081"), Ok(8081));
        assert!(port("65536").is_err() && port("-1").is_err() && port("").is_err());
        assert_eq!(count("0"), Ok(0));
        assert!(count("-1").is_err() && count("1k").is_err());
        assert_eq!(ratio("0.8"), Ok(0.8));
        assert!(ratio("1.1").is_err() && ratio("NaN").is_err() && ratio("").is_err());
    }
}
