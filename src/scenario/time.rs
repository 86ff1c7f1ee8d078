//! Moments and lengths of time as people write them.

use crate::clock::{Micros, Timestamp};

/// A Thursday on which a second, a minute, an hour, a day and a week begin (2026-01-01T00:00:00Z).
pub(super) const DEFAULT_START: Timestamp = Timestamp::from_secs(1_767_225_600);

const MICROS_PER_SEC: u64 = 1_000_000;
const SECS_PER_DAY: u64 = 86_400;

/// What a length of time is counted in, in microseconds.
const SPANS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", MICROS_PER_SEC),
    ("m", 60 * MICROS_PER_SEC),
    ("h", 3_600 * MICROS_PER_SEC),
    ("d", SECS_PER_DAY * MICROS_PER_SEC),
];

/// The same in full.
const LONG_SPANS: [(&str, &str); 4] = [
    ("second", "s"),
    ("minute", "m"),
    ("hour", "h"),
    ("day", "d"),
];

/// Reads a length of time: `30s`, `1m30s`, `250ms`, `1.5h`, `2 minutes`.
pub fn span(text: &str) -> Option<Micros> {
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
    let is_long = |(long, _): &&(&str, &str)| unit.strip_suffix('s').unwrap_or(unit) == *long;
    let short = LONG_SPANS
        .iter()
        .find(is_long)
        .map_or(unit, |(_, short)| short);
    let found = SPANS.iter().find(|(name, _)| *name == short);
    found.map(|(_, micros)| *micros)
}

/// A decimal number of units, to the microsecond.
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

/// Reads a moment: `2026-01-01T00:00:00Z`, or seconds since the Unix epoch.
pub fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(secs) = text.parse::<u64>() {
        return Some(Timestamp::from_secs(secs));
    }
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second < 60;
    let days = days_since_epoch(year, month, day).filter(|_| is_time)?;
    let secs = days * SECS_PER_DAY + hour * 3_600 + minute * 60 + second;
    let micros = scaled(&format!("0.{fraction}"), MICROS_PER_SEC)?;
    Some(Timestamp::from_secs(secs).plus(Micros::new(micros)))
}

/// Three numbers of these lengths.
fn numbers(text: &str, between: char, lengths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut read = [0; 3];
    for (into, length) in read.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *into = part
            .parse()
            .ok()
            .filter(|_| part.bytes().all(|b| b.is_ascii_digit()))?;
    }
    parts.next().is_none().then_some(read)
}

/// A moment as [`moment`] reads it.
pub fn written(moment: Timestamp) -> String {
    let (secs, micros) = (
        moment.micros() / MICROS_PER_SEC,
        moment.micros() % MICROS_PER_SEC,
    );
    let (year, month, day) = date(secs / SECS_PER_DAY);
    let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    let fraction = match micros {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn days_before(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let of_months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    Some(days_before(year) - days_before(1970) + of_months + day - 1)
}

fn date(days: u64) -> (u64, u64, u64) {
    // At most one year too early: 400 years are 146,097 days.
    let mut year = 1970 + days * 400 / 146_097;
    year -= u64::from(days_before(year) - days_before(1970) > days);
    let mut left = days - (days_before(year) - days_before(1970));
    if left >= days_before(year + 1) - days_before(year) {
        left -= days_before(year + 1) - days_before(year);
        year += 1;
    }
    let mut month = 1;
    while left >= days_in(year, month) {
        left -= days_in(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
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
            assert_eq!(span(text), Some(Micros::new(micros)), "{text}");
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
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_read_and_written() {
        assert_eq!(moment("2026-01-01T00:00:00Z"), Some(DEFAULT_START));
        assert_eq!(moment("1767225600"), Some(DEFAULT_START));
        assert_eq!(moment("2026-01-01 00:00:00+00:00"), Some(DEFAULT_START));
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2024-12-31T12:00:00.25Z",
            "2100-03-01T00:00:00Z",
        ] {
            assert_eq!(written(moment(text).unwrap()), text);
        }
        for text in [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-1-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "soon",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_written_as_it_is_read() {
        for day in 0..146_097 {
            let at = Timestamp::from_secs(day * SECS_PER_DAY);
            assert_eq!(moment(&written(at)), Some(at));
        }
    }
}
