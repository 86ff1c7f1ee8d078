//! What the descriptors of a line cost, and the limits that they bring: the fields of a `RateLimitRequest` in JSON.

use serde_json::{Map, Value};

use super::line_error::LineError;
use crate::limit::Window;
use crate::request::{Cost, MAX_HITS, Override, Unit};

/// The hits of a line for descriptors without their own: `hits`, which may be 0 for a peek, or `hits_addend`, where 0 is
/// what an absent field looks like.
pub(super) fn hits_of_line(fields: &Map<String, Value>) -> Result<u32, LineError> {
    if let Some(hits) = fields.get("hits") {
        return number(hits).ok_or(LineError::Hits("hits"));
    }
    match field(fields, ["hits_addend", "hitsAddend"]) {
        None => Ok(1),
        Some(hits) => number(hits)
            .map(|hits| hits.max(1))
            .ok_or(LineError::Hits("hits_addend")),
    }
}

/// The cost of a descriptor in a line with these hits.
pub(super) fn of_descriptor(
    descriptor: &Map<String, Value>,
    hits_of_line: u32,
) -> Result<Cost, LineError> {
    let hits = match field(descriptor, ["hits_addend", "hitsAddend"]) {
        None => hits_of_line,
        Some(hits) => number(hits).ok_or(LineError::Hits("hits_addend"))?,
    };
    let is_negative = match field(descriptor, ["is_negative_hits", "isNegativeHits"]) {
        None => false,
        Some(value) => value.as_bool().ok_or(LineError::IsNegativeHits)?,
    };
    Ok(cost(hits, is_negative))
}

/// The cost of these hits; of none, a peek.
pub(super) fn cost(hits: u32, is_negative: bool) -> Cost {
    match (hits, is_negative) {
        (0, _) => Cost::Peek,
        (hits, false) => Cost::Hits(hits),
        (hits, true) => Cost::Refund(hits),
    }
}

/// The limit that a descriptor brings.
pub(super) fn limit(descriptor: &Map<String, Value>) -> Result<Option<Override>, LineError> {
    let Some(limit) = field(descriptor, ["limit"; 2]) else {
        return Ok(None);
    };
    let read = || {
        let limit = limit.as_object()?;
        let unit_multiplier = match field(limit, ["unit_multiplier", "unitMultiplier"]) {
            None => 1,
            Some(multiplier) => number(multiplier)?.max(1),
        };
        let requests = field(limit, ["requests_per_unit", "requestsPerUnit"]);
        let unit = Unit::from_name(limit.get("unit")?.as_str()?)?;
        Window::new(unit, unit_multiplier)?;
        Some(Override {
            requests_per_unit: requests.map_or(Some(0), number)?,
            unit,
            unit_multiplier,
        })
    };
    read().map(Some).ok_or(LineError::Limit)
}

/// The field with one of these names, unless it is null.
fn field<'f>(fields: &'f Map<String, Value>, names: [&str; 2]) -> Option<&'f Value> {
    let found = names.iter().find_map(|name| fields.get(*name));
    found.filter(|value| !value.is_null())
}

/// A whole number, which may be written as text, at most [`MAX_HITS`].
fn number(value: &Value) -> Option<u32> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_u64()?,
    };
    Some(u32::try_from(number).unwrap_or(MAX_HITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn costs_are_those_of_the_protocol() {
        let of = |line: &str, descriptor: &str| {
            of_descriptor(&fields(descriptor), hits_of_line(&fields(line)).unwrap()).unwrap()
        };
        assert_eq!(of("{}", "{}"), Cost::Hits(1));
        assert_eq!(of(r#"{"hits": 0}"#, "{}"), Cost::Peek);
        assert_eq!(of(r#"{"hits_addend": 0}"#, "{}"), Cost::Hits(1));
        assert_eq!(of(r#"{"hitsAddend": 3}"#, "{}"), Cost::Hits(3));
        let own = r#"{"hitsAddend": "7"}"#;
        assert_eq!(of(r#"{"hitsAddend": 3}"#, own), Cost::Hits(7));
        assert_eq!(of("{}", r#"{"hits_addend": 0}"#), Cost::Peek);
        assert_eq!(of("{}", r#"{"hits_addend": null}"#), Cost::Hits(1));
        let refund = r#"{"hits_addend": 2, "is_negative_hits": true}"#;
        assert_eq!(of("{}", refund), Cost::Refund(2));
        assert_eq!(
            of("{}", r#"{"hits_addend": 99999999999}"#),
            Cost::Hits(MAX_HITS)
        );
    }

    #[test]
    fn a_limit_has_a_unit_and_perhaps_a_multiplier() {
        let of = |text: &str| limit(&fields(text));
        assert_eq!(of("{}"), Ok(None));
        let expected = Override {
            requests_per_unit: 5,
            unit: Unit::Hour,
            unit_multiplier: 2,
        };
        let text = r#"{"limit": {"requestsPerUnit": 5, "unit": "HOUR", "unit_multiplier": 2}}"#;
        assert_eq!(of(text), Ok(Some(expected)));
        for text in [
            r#"{"limit": 5}"#,
            r#"{"limit": {"requests_per_unit": 5}}"#,
            r#"{"limit": {"requests_per_unit": 5, "unit": "UNKNOWN"}}"#,
            r#"{"limit": {"requests_per_unit": -5, "unit": "HOUR"}}"#,
            r#"{"limit": {"requests_per_unit": 5, "unit": "YEAR", "unit_multiplier": 4000000000}}"#,
        ] {
            assert_eq!(of(text), Err(LineError::Limit), "{text}");
        }
    }
}
