//! From a line to a request and its moment.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::fields::{NoObject, Wanted};
use super::template::{DescriptorTemplate, field};
use super::time::parse_timestamp;
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
    domain: Bytes,
    descriptors: Vec<DescriptorTemplate>,
    time: Option<String>,
    wanted: Wanted,
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
        match self {
            Self::Requests { domain } => {
                // serde_json says where it was lost, never in what.
                let value: Value = serde_json::from_slice(line)
                    .map_err(|error| Fault::not_json(error.column()))?;
                match value {
                    Value::Object(fields) => request(fields, domain.as_deref()).map(Some),
                    _ => Err(Fault::new(Fault::NO_OBJECT)),
                }
            }
            Self::AccessLog(mapping) => match mapping.wanted.read(line) {
                Ok(fields) => mapping.read(&fields),
                Err(NoObject::NotJson(column)) => Err(Fault::not_json(column)),
                Err(NoObject::Other) => Err(Fault::new(Fault::NO_OBJECT)),
            },
        }
    }
}

impl Mapping {
    /// Of the domain and the descriptors that Envoy sends, and the field that holds the time; none if that has one of
    /// the usual names.
    pub fn new(domain: String, descriptors: Vec<DescriptorTemplate>, time: Option<String>) -> Self {
        let mut wanted = Wanted::default();
        match &time {
            Some(name) => wanted.add(name),
            None => TIMES.iter().for_each(|name| wanted.add(name)),
        }
        let fields = descriptors.iter().flat_map(DescriptorTemplate::fields);
        fields.for_each(|name| wanted.add(name));
        Self {
            domain: domain.into(),
            descriptors,
            time,
            wanted,
        }
    }

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
            domain: self.domain.clone(),
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
    parse_timestamp(value).ok_or_else(|| {
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
        Some(Some(0)) => Cost::Peek,
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
    const NO_OBJECT: &str = "not a JSON object";

    fn not_json(column: usize) -> Self {
        Self(format!("not JSON, column {column}"))
    }

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
        let time = Some("t.start".to_owned());
        let mapping = Mapping::new("t".to_owned(), vec![template], time);
        let shape = Shape::AccessLog(mapping);
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
