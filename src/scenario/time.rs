//! Timestamps and durations as scenario files write them.

use crate::clock::{Micros, Timestamp};

/// 2026-01-01T00:00:00Z, the start of a second, minute, hour, day, month, year and (Unix) week.
pub(super) const DEFAULT_START: Timestamp = Timestamp::from_secs(1_767_225_600);

const MICROS_PER_SEC: u64 = 1_000_000;

/// Units of a duration: the symbol, the name, and the microseconds.
const UNITS: [(&str, &str, u64); 6] = [
    ("us", "microsecond", 1),
    ("ms", "millisecond", 1_000),
    ("s", "second", MICROS_PER_SEC),
    ("m", "minute", 60 * MICROS_PER_SEC),
    ("h", "hour", 3_600 * MICROS_PER_SEC),
    ("d", "day", 86_400 * MICROS_PER_SEC),
];

/// Parses a duration: `30s`, `1m30s`, `250ms`, `1.5h`, `2 minutes`.
pub fn parse_duration(text: &str) -> Option<Micros> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        total = total.checked_add(scaled(number, micros_of(unit)?)?)?;
        rest = after.trim_start();
    }
    Some(Micros::new(total))
}

fn micros_of(unit: &str) -> Option<u64> {
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    let is_unit = |(symbol, name, _): &&(&str, &str, u64)| unit == *symbol || singular == *name;
    UNITS.iter().find(is_unit).map(|(_, _, micros)| *micros)
}

/// A decimal number of units in microseconds; `None` if it is not a whole number of them.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut unit = unit;
    for digit in fraction.bytes() {
        if !unit.is_multiple_of(10) {
            return None;
        }
        unit /= 10;
        total =
            total.checked_add(u64::from(digit.checked_sub(b'0').filter(|d| *d < 10)?) * unit)?;
    }
    Some(total)
}

/// Parses `2026-01-01T00:00:00Z` (UTC only), or Unix seconds.
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(secs) = text.parse::<u64>() {
        return Some(Timestamp::from_secs(secs));
    }
    let is_utc = ["Z", "+00:00"].iter().any(|end| text.ends_with(end));
    Timestamp::from_rfc3339(text).filter(|_| is_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, micros) in [
            ("30s", 30_000_000),
            ("1m30s", 90_000_000),
            ("1m 30s", 90_000_000),
            ("2 minutes", 120_000_000),
            ("1 second", 1_000_000),
            ("250ms", 250_000),
            ("1.5h", 5_400_000_000),
            ("0.000001s", 1),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Micros::new(micros)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "30x",
            "-1s",
            "1.s.s",
            "0.5us",
            "99999999999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_in_utc() {
        for text in [
            "2026-01-01T00:00:00Z",
            "1767225600",
            "2026-01-01 00:00:00+00:00",
        ] {
            assert_eq!(parse_timestamp(text), Some(DEFAULT_START), "{text}");
        }
        for text in ["2026-01-01T00:00:00+01:00", "2026-01-01", "-1", "soon"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
