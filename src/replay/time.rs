//! Moments as logs write them: RFC 3339, or a number since the Unix epoch.

use serde_json::Value;

use crate::clock::Timestamp;

const MICROS_PER_SEC: u64 = 1_000_000;

/// Numbers from here on are milliseconds, those below seconds: 5138 as a year of one, 1973 of the other.
const FIRST_MILLIS: f64 = 1e11;
/// Numbers from here on are microseconds.
const FIRST_MICROS: f64 = 1e14;

/// The moment that a value of a log stands for.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => from_number(number.as_f64()?),
        Value::String(text) => {
            from_rfc3339(text.as_bytes()).or_else(|| from_number(text.parse().ok()?))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn from_number(number: f64) -> Option<Timestamp> {
    let micros = match number {
        n if n < FIRST_MILLIS => n * 1e6,
        n if n < FIRST_MICROS => n * 1e3,
        n => n,
    };
    // Whole microseconds up to the year 2255 are exact.
    let is_moment = (0.0..9e15).contains(&micros);
    is_moment.then(|| Timestamp::from_micros(micros.round() as u64))
}

/// `2026-11-22T10:00:00.123Z`, or with an offset.
fn from_rfc3339(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let is_marked = marks.iter().all(|&(at, mark)| text.get(at) == Some(&mark));
    if !is_marked || !matches!(text.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !is_time {
        return None;
    }
    let (micros, zone) = fraction(&text[19..])?;
    let days = days_since_epoch(year as i64, month as i64, day as i64);
    let secs = days * 86_400 + (hour * 3_600 + minute * 60 + second) as i64 - offset_secs(zone)?;
    let secs = u64::try_from(secs).ok()?;
    Some(Timestamp::from_micros(secs * MICROS_PER_SEC + micros))
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number * 10 + u64::from(digit))
    })
}

/// Microseconds, and what stands behind them.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let known = digits(&rest[..end.min(6)])?;
    let scale = 10_u64.pow(6 - end.min(6) as u32);
    (end > 0).then_some((known * scale, &rest[end..]))
}

fn offset_secs(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        4 => (digits(&rest[..2])?, digits(&rest[2..])?),
        5 if rest[2] == b':' => (digits(&rest[..2])?, digits(&rest[3..])?),
        _ => return None,
    };
    Some(sign * (hours * 3_600 + minutes * 60) as i64)
}

/// By the civil calendar: years begin in March, so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_read_as_logs_write_them() {
        let at = Timestamp::from_micros(1_795_341_600_123_000);
        for text in [
            json!("2026-11-22T10:00:00.123Z"),
            json!("2026-11-22T10:00:00.123000999Z"),
            json!("2026-11-22T11:30:00.123+01:30"),
            json!("2026-11-22 05:00:00.123-0500"),
            json!(1_795_341_600.123),
            json!("1795341600.123"),
            json!(1_795_341_600_123_u64),
            json!(1_795_341_600_123_000_u64),
        ] {
            assert_eq!(moment(&text), Some(at), "{text}");
        }
        let leap = moment(&json!("2024-02-29T00:00:00Z"));
        assert_eq!(leap, Some(Timestamp::from_secs(1_709_164_800)));
        assert_eq!(moment(&json!(0)), Some(Timestamp::default()));
        for text in [
            json!(null),
            json!("-"),
            json!("2026-11-22"),
            json!("2026-13-22T10:00:00Z"),
            json!("2026-11-22T10:00:00"),
            json!("2026-11-22T10:00:00.Z"),
            json!("2026-11-22T10:00:00é"),
            json!("1969-12-31T23:59:59Z"),
            json!(-1),
            json!("inf"),
        ] {
            assert_eq!(moment(&text), None, "{text}");
        }
    }
}
