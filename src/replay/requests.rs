//! Lines that are requests: `{"time": …, "domain": …, "descriptors": …, "hits": …}`, or a `RateLimitRequest` in JSON with a
//! time.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::costs;
use super::line_error::LineError;
use super::time::{self, TimeField};
use crate::clock::Timestamp;
use crate::request::{Descriptor, Entry, Request};

/// Reads a request; `domain` is the one of lines without a domain.
pub(super) fn read(
    mut fields: Map<String, Value>,
    domain: Option<&str>,
    time: &TimeField,
) -> Result<(Timestamp, Request), LineError> {
    let at = time::find(&fields, time)?;
    let domain = match fields.remove("domain") {
        Some(Value::String(domain)) if !domain.is_empty() => domain,
        None => domain
            .ok_or_else(|| LineError::Missing("domain".to_owned()))?
            .to_owned(),
        Some(_) => return Err(LineError::Domain),
    };
    let hits = costs::hits_of_line(&fields)?;
    let descriptors = match fields.remove("descriptors") {
        Some(Value::Array(descriptors)) => descriptors,
        None => return Err(LineError::Missing("descriptors".to_owned())),
        Some(_) => return Err(LineError::Descriptors),
    };
    let descriptors = descriptors.into_iter().map(|one| descriptor(one, hits));
    let descriptors: Vec<_> = descriptors.collect::<Result<_, LineError>>()?;
    if descriptors.is_empty() {
        return Err(LineError::NoDescriptors);
    }
    let request = Request {
        domain: domain.into(),
        descriptors,
    };
    Ok((at, request))
}

/// Entries alone, or the message of the protocol with its own hits and limit: it has a list of `entries`.
fn descriptor(value: Value, hits: u32) -> Result<Descriptor, LineError> {
    match value {
        Value::Object(mut fields) if fields.get("entries").is_some_and(Value::is_array) => {
            Ok(Descriptor {
                entries: entries(fields.remove("entries").unwrap_or_default())?,
                cost: costs::of_descriptor(&fields, hits)?,
                limit: costs::limit(&fields)?,
            })
        }
        value => Ok(Descriptor {
            entries: entries(value)?,
            cost: costs::cost(hits, false),
            limit: None,
        }),
    }
}

/// `[{"key": …, "value": …}, …]` or `{"<key>": "<value>", …}`.
fn entries(descriptor: Value) -> Result<Vec<Entry>, LineError> {
    match descriptor {
        Value::Array(entries) => entries.into_iter().map(entry).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                Ok(Entry {
                    key: key.into(),
                    value: text(Some(value)).ok_or(LineError::EntryValue)?,
                })
            })
            .collect(),
        _ => Err(LineError::Descriptor),
    }
}

fn entry(entry: Value) -> Result<Entry, LineError> {
    let Value::Object(mut fields) = entry else {
        return Err(LineError::Entry);
    };
    Ok(Entry {
        key: text(fields.remove("key")).ok_or(LineError::EntryKey)?,
        value: text(fields.remove("value")).ok_or(LineError::EntryValue)?,
    })
}

fn text(value: Option<Value>) -> Option<Bytes> {
    match value {
        Some(Value::String(text)) => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Cost;

    fn read(line: &str) -> Result<(Timestamp, Request), LineError> {
        super::read(serde_json::from_str(line).unwrap(), None, &TimeField::Usual)
    }

    #[test]
    fn descriptors_can_be_written_in_three_ways() {
        let lists = r#"[[{"key":"b","value":"1"},{"key":"a","value":"2"}]]"#;
        let messages = r#"[{"entries":[{"key":"b","value":"1"},{"key":"a","value":"2"}]}]"#;
        let objects = r#"[{"b":"1","a":"2"}]"#;
        let read = |descriptors: &str| {
            read(&format!(
                r#"{{"time": 7, "domain": "t", "descriptors": {descriptors}, "hits": 3}}"#
            ))
        };
        let (at, request) = read(lists).unwrap();
        assert_eq!(at, Timestamp::from_secs(7));
        let descriptor = &request.descriptors[0];
        assert_eq!(descriptor.cost, Cost::Hits(3));
        let keys: Vec<_> = descriptor.entries.iter().map(|e| e.key.clone()).collect();
        assert_eq!(keys, ["b", "a"], "in the order of the line");
        assert_eq!(read(messages).unwrap(), (at, request.clone()));
        assert_eq!(read(objects).unwrap(), (at, request));
    }

    #[test]
    fn a_message_of_the_protocol_is_a_request() {
        let line = r#"{"domain": "t", "hitsAddend": 3, "descriptors": [
            {"entries": [{"key": "a", "value": "1"}]},
            {"entries": [{"key": "b", "value": "2"}], "hitsAddend": "0",
             "limit": {"requestsPerUnit": 5, "unit": "HOUR"}}]}"#;
        assert!(read(line).is_err(), "it has no time");
        let fields = serde_json::from_str(line).unwrap();
        let (at, request) = super::read(fields, None, &TimeField::Ignored).unwrap();
        assert_eq!(at, Timestamp::default());
        let costs: Vec<_> = request.descriptors.iter().map(|one| one.cost).collect();
        assert_eq!(costs, [Cost::Hits(3), Cost::Peek]);
        assert_eq!(request.descriptors[1].limit.unwrap().requests_per_unit, 5);
    }

    #[test]
    fn an_error_names_the_field_and_not_its_value() {
        for (line, fault) in [
            ("{}", "no field `time`"),
            (
                r#"{"time": "sk_1"}"#,
                "`time` is neither RFC 3339 nor seconds or milliseconds since 1970",
            ),
            (r#"{"time": 1}"#, "no field `domain`"),
            (r#"{"time": 1, "domain": 2}"#, "`domain` is not a text"),
            (r#"{"time": 1, "domain": "t"}"#, "no field `descriptors`"),
            (
                r#"{"time": 1, "domain": "t", "descriptors": {}}"#,
                "`descriptors` is not a list",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": []}"#,
                "`descriptors` is empty",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [7]}"#,
                "a descriptor is neither a list nor an object",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [[7]]}"#,
                "an entry is not an object",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [{"k": 1}]}"#,
                "the value of an entry is not a text",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [[{"key": "k"}]]}"#,
                "the value of an entry is not a text",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [{"k": "1"}], "hits": -1}"#,
                "`hits` is not a whole number",
            ),
        ] {
            assert_eq!(read(line).unwrap_err().to_string(), fault, "{line}");
        }
    }
}
