//! From a line to a request and its moment.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::template::{DescriptorTemplate, field};
use super::time::moment;
use crate::clock::Timestamp;
use crate::request::{Cost, Descriptor, Entry, Request};

/// A request as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it came.
    pub at: Timestamp,
    /// What was asked.
    pub request: Request,
}

/// What lines look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"time": …, "domain": …, "descriptors": …, "hits": …}`
    Requests {
        /// The domain of lines that name none.
        domain: Option<String>,
    },
    /// An access log in JSON.
    AccessLog(Mapping),
}

/// How requests are made of an access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The domain that Envoy asks.
    pub domain: String,
    /// The descriptors that Envoy sends.
    pub descriptors: Vec<DescriptorTemplate>,
    /// The field that holds the time; none if it has one of the usual names.
    pub time: Option<String>,
}

/// What the time of a request is usually called.
const TIMES: [&str; 4] = ["time", "start_time", "timestamp", "@timestamp"];

/// What is wrong with a line; it never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Shape {
    /// Reads a line; none if Envoy would have asked nothing.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn read(&self, line: &[u8]) -> Result<Option<Record>, Fault> {
        let value: Value = serde_json::from_slice(line).map_err(|error| {
            // serde_json says what it expected and where, never what it found.
            Fault(format!("not JSON, column {}", error.column()))
        })?;
        let Value::Object(fields) = value else {
            return Err(Fault::new("not a JSON object"));
        };
        match self {
            Self::Requests { domain } => request(fields, domain.as_deref()).map(Some),
            Self::AccessLog(mapping) => mapping.read(&fields),
        }
    }
}

impl Mapping {
    fn read(&self, fields: &Map<String, Value>) -> Result<Option<Record>, Fault> {
        let at = at(fields, self.time.as_deref())?;
        let entries = self.descriptors.iter();
        let descriptors: Vec<Descriptor> = entries
            .filter_map(|template| template.fill(fields))
            .map(|entries| Descriptor {
                entries,
                ..Descriptor::default()
            })
            .collect();
        if descriptors.is_empty() {
            return Ok(None);
        }
        let request = Request {
            domain: self.domain.clone().into(),
            descriptors,
        };
        Ok(Some(Record { at, request }))
    }
}

fn at(fields: &Map<String, Value>, name: Option<&str>) -> Result<Timestamp, Fault> {
    let found = match name {
        Some(name) => field(fields, name).map(|value| (name, value)),
        None => TIMES
            .iter()
            .find_map(|name| Some((*name, fields.get(*name)?))),
    };
    let Some((name, value)) = found else {
        let name = name.unwrap_or("time");
        return Err(Fault(format!("no field `{name}`")));
    };
    moment(value).ok_or_else(|| {
        let wanted = "neither RFC 3339 nor seconds or milliseconds since 1970";
        Fault(format!("`{name}` is {wanted}"))
    })
}

fn request(mut fields: Map<String, Value>, domain: Option<&str>) -> Result<Record, Fault> {
    let at = at(&fields, None)?;
    let domain = match fields.remove("domain") {
        Some(Value::String(domain)) if !domain.is_empty() => domain,
        None => domain.ok_or(Fault::new("no field `domain`"))?.to_owned(),
        Some(_) => return Err(Fault::new("`domain` is not a text")),
    };
    let cost = match fields.get("hits").map(Value::as_u64) {
        None => Cost::default(),
        Some(Some(0)) => Cost::Look,
        Some(Some(hits)) => Cost::Hits(u32::try_from(hits).unwrap_or(u32::MAX)),
        Some(None) => return Err(Fault::new("`hits` is not a whole number")),
    };
    let Some(Value::Array(descriptors)) = fields.remove("descriptors") else {
        return Err(Fault::new("`descriptors` is not a list"));
    };
    let descriptors = descriptors.into_iter().map(|descriptor| {
        Ok(Descriptor {
            entries: entries(descriptor)?,
            cost,
            limit: None,
        })
    });
    let descriptors: Vec<_> = descriptors.collect::<Result<_, Fault>>()?;
    if descriptors.is_empty() {
        return Err(Fault::new("`descriptors` is empty"));
    }
    let request = Request {
        domain: domain.into(),
        descriptors,
    };
    Ok(Record { at, request })
}

/// `[{"key": …, "value": …}, …]`, the same under `entries`, or `{"<key>": "<value>", …}`.
fn entries(descriptor: Value) -> Result<Vec<Entry>, Fault> {
    match descriptor {
        Value::Array(entries) => entries.into_iter().map(entry).collect(),
        Value::Object(mut fields) if fields.get("entries").is_some_and(Value::is_array) => {
            entries(fields.remove("entries").unwrap_or_default())
        }
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                Ok(Entry {
                    key: key.into(),
                    value: text(Some(value), "the value of an entry")?,
                })
            })
            .collect(),
        _ => Err(Fault::new("a descriptor is neither a list nor an object")),
    }
}

fn entry(entry: Value) -> Result<Entry, Fault> {
    let Value::Object(mut fields) = entry else {
        return Err(Fault::new("an entry is not an object"));
    };
    Ok(Entry {
        key: text(fields.remove("key"), "`key` of an entry")?,
        value: text(fields.remove("value"), "`value` of an entry")?,
    })
}

fn text(value: Option<Value>, what: &str) -> Result<Bytes, Fault> {
    match value {
        Some(Value::String(text)) => Ok(text.into()),
        _ => Err(Fault(format!("{what} is not a text"))),
    }
}

impl Fault {
    /// A line that is longer than any is read.
    pub const TOO_LONG: &str = "longer than a mebibyte";

    /// Of a line with that wrong.
    pub fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Record, String> {
        let shape = Shape::Requests { domain: None };
        let read = shape.read(line.as_bytes());
        read.map(Option::unwrap).map_err(|fault| fault.to_string())
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
        let record = read(lists).unwrap();
        assert_eq!(record.at, Timestamp::from_secs(7));
        let descriptor = &record.request.descriptors[0];
        assert_eq!(descriptor.cost, Cost::Hits(3));
        let keys: Vec<_> = descriptor.entries.iter().map(|e| e.key.clone()).collect();
        assert_eq!(keys, ["b", "a"], "in the order of the line");
        assert_eq!(read(messages).unwrap(), record);
        assert_eq!(read(objects).unwrap(), record);
    }

    #[test]
    fn a_fault_names_the_field_and_not_its_value() {
        for (line, fault) in [
            ("{", "not JSON, column 1"),
            ("[]", "not a JSON object"),
            ("{}", "no field `time`"),
            (
                r#"{"time": "sk_1"}"#,
                "`time` is neither RFC 3339 nor seconds or milliseconds since 1970",
            ),
            (r#"{"time": 1}"#, "no field `domain`"),
            (r#"{"time": 1, "domain": 2}"#, "`domain` is not a text"),
            (
                r#"{"time": 1, "domain": "t"}"#,
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
                "`value` of an entry is not a text",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [{"k": "1"}], "hits": -1}"#,
                "`hits` is not a whole number",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), fault, "{line}");
        }
    }

    #[test]
    fn an_access_log_is_read_by_its_mapping() {
        let template = DescriptorTemplate::new([("api_key", "{auth}")]).unwrap();
        let shape = Shape::AccessLog(Mapping {
            domain: "t".to_owned(),
            descriptors: vec![template],
            time: Some("t.start".to_owned()),
        });
        let record = shape
            .read(br#"{"t": {"start": "1"}, "auth": "k"}"#)
            .unwrap()
            .unwrap();
        assert_eq!(record.at, Timestamp::from_secs(1));
        assert_eq!(record.request.descriptors[0].entries[0].value, "k");
        assert_eq!(
            shape.read(br#"{"t": {"start": "1"}, "auth": null}"#),
            Ok(None)
        );
    }
}
