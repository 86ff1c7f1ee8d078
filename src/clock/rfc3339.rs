//! Timestamps as RFC 3339 text.

use super::Timestamp;

impl Timestamp {
    /// Parses `2026-11-22T10:00:00.123Z`, also with a space for the `T` or with an offset such as `+01:30`.
    ///
    /// Digits beyond microseconds are dropped. `None` if the text is something else, or before 1970.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.parse().ok()?;
        // Rounded towards negative infinity: 1 ns before 1970 is not 1970.
        let micros = parsed.as_nanosecond().div_euclid(1_000);
        u64::try_from(micros).ok().map(Self::from_micros)
    }

    /// Formats in UTC, with as many digits of the second as needed; Unix seconds after the year 9999.
    pub fn to_rfc3339(self) -> String {
        let micros = i64::try_from(self.micros()).ok();
        let timestamp = micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
        match timestamp {
            Some(timestamp) => timestamp.to_string(),
            None => (self.micros() / super::MICROS_PER_SEC).to_string(),
        }
    }
}

/// Times as RFC 3339 text in data, for serde.
pub mod rfc3339_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Timestamp;

    /// Writes the time, if there is one.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_str(&time.to_rfc3339()),
            None => to.serialize_none(),
        }
    }

    /// Reads a time.
    ///
    /// # Errors
    /// If it is not in RFC 3339.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let time = Timestamp::from_rfc3339(&text);
        let wrong = || de::Error::custom("not a time in RFC 3339");
        time.map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Micros;

    #[test]
    fn text_is_parsed_and_formatted() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2024-12-31T12:00:00.25Z",
            "2100-03-01T00:00:00.000001Z",
            "9999-12-30T00:00:00Z",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text).unwrap().to_rfc3339(), text);
        }
        assert_eq!(
            Timestamp::from_micros(u64::MAX).to_rfc3339(),
            "18446744073709"
        );
    }

    #[test]
    fn variants_of_the_format_are_accepted() {
        let at = Timestamp::from_secs(1_795_341_600).plus(Micros::new(123_000));
        for text in [
            "2026-11-22T10:00:00.123Z",
            "2026-11-22t10:00:00.123z",
            "2026-11-22 10:00:00.123000999Z",
            "2026-11-22T11:30:00.123+01:30",
            "2026-11-22 05:00:00.123-0500",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), Some(at), "{text}");
        }
        let leap_second = Timestamp::from_rfc3339("2016-12-31T23:59:60Z");
        assert!(leap_second.is_some());
    }

    #[test]
    fn other_text_is_rejected() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T10:00:00",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T10:00:00é",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59.9999999Z",
            "2026-1-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "soon",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text}");
        }
    }
}
