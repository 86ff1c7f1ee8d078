//! Timestamps as logs write them: RFC 3339, or a number since the Unix epoch.

use serde_json::{Map, Value};

use super::line_error::LineError;
use super::template::field;
use crate::clock::Timestamp;

/// The usual names of the time field.
const USUAL_NAMES: [&str; 4] = ["time", "start_time", "timestamp", "@timestamp"];

/// Numbers from here on are milliseconds, those below seconds: the year 1973 in one, 5138 in the other.
const FIRST_MILLIS: f64 = 1e11;
/// Numbers from here on are microseconds.
const FIRST_MICROS: f64 = 1e14;

/// Where the time of a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// In `time`, `start_time`, `timestamp` or `@timestamp`.
    Usual,
    /// In the field of this name.
    Named(String),
    /// Nowhere: all lines are of the same time, 0.
    Ignored,
}

impl TimeField {
    /// The names that the field may have.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Usual => USUAL_NAMES.to_vec(),
            Self::Named(name) => vec![name],
            Self::Ignored => Vec::new(),
        }
    }
}

/// The time of a line.
pub(super) fn find(fields: &Map<String, Value>, time: &TimeField) -> Result<Timestamp, LineError> {
    let (found, name) = match time {
        TimeField::Ignored => return Ok(Timestamp::default()),
        TimeField::Named(name) => (field(fields, name).map(|value| (&**name, value)), &**name),
        TimeField::Usual => {
            let mut names = USUAL_NAMES.iter();
            let found = names.find_map(|name| Some((*name, fields.get(*name)?)));
            (found, "time")
        }
    };
    let Some((name, value)) = found else {
        return Err(LineError::Missing(name.to_owned()));
    };
    parse_timestamp(value).ok_or_else(|| LineError::Time(name.to_owned()))
}

/// Parses the timestamp in a field of a log.
fn parse_timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => from_number(number.as_f64()?),
        Value::String(text) => {
            Timestamp::from_rfc3339(text).or_else(|| from_number(text.parse().ok()?))
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
    let is_exact = (0.0..9e15).contains(&micros);
    is_exact.then(|| Timestamp::from_micros(micros.round() as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timestamps_are_parsed_as_logs_write_them() {
        let at = Timestamp::from_micros(1_795_341_600_123_000);
        for text in [
            json!("2026-11-22T10:00:00.123Z"),
            json!("2026-11-22 05:00:00.123-0500"),
            json!(1_795_341_600.123),
            json!("1795341600.123"),
            json!(1_795_341_600_123_u64),
            json!(1_795_341_600_123_000_u64),
        ] {
            assert_eq!(parse_timestamp(&text), Some(at), "{text}");
        }
        assert_eq!(parse_timestamp(&json!(0)), Some(Timestamp::default()));
        for text in [
            json!(null),
            json!("-"),
            json!("2026-11-22"),
            json!("2026-11-22T10:00:00"),
            json!(-1),
            json!("inf"),
        ] {
            assert_eq!(parse_timestamp(&text), None, "{text}");
        }
    }
}
