//! A recorded request, and the formats that lines have.

use serde_json::Value;

use super::line_error::LineError;
use super::log_fields::LogFields;
use super::mapping::Mapping;
use super::requests;
use super::time::TimeField;
use crate::clock::Timestamp;
use crate::request::Request;

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time of the request.
    pub at: Timestamp,
    /// The request.
    pub request: Request,
}

/// The format of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// `{"time": …, "domain": …, "descriptors": …, "hits": …}`, or a `RateLimitRequest` in JSON with a time.
    Requests {
        /// The domain of lines without one.
        domain: Option<String>,
        /// Where the time is.
        time: TimeField,
    },
    /// An access log: JSON, or the default text format of Envoy or Istio.
    AccessLog(Mapping),
}

/// Decodes the lines of one log.
#[derive(Debug)]
pub struct LineDecoder {
    format: RecordFormat,
    fields: LogFields,
}

impl LineDecoder {
    /// A decoder of lines in this format.
    pub fn new(format: RecordFormat) -> Self {
        let fields = match &format {
            RecordFormat::Requests { .. } => LogFields::default(),
            RecordFormat::AccessLog(mapping) => mapping.log_fields(),
        };
        Self { format, fields }
    }

    /// Decodes a line; `None` if Envoy would not have sent a request.
    ///
    /// # Errors
    /// If the line cannot be used.
    pub fn decode(&mut self, line: &[u8]) -> Result<Option<Record>, LineError> {
        match &self.format {
            RecordFormat::Requests { domain, time } => {
                // Only the column is reported, never the text.
                let value: Value =
                    serde_json::from_slice(line).map_err(|error| LineError::NotJson {
                        column: error.column(),
                    })?;
                match value {
                    Value::Object(fields) => {
                        let (at, request) = requests::read(fields, domain.as_deref(), time)?;
                        Ok(Some(Record { at, request }))
                    }
                    _ => Err(LineError::NotAnObject),
                }
            }
            RecordFormat::AccessLog(mapping) => {
                let read = mapping.read(line, &mut self.fields)?;
                Ok(read.map(|(at, request)| Record { at, request }))
            }
        }
    }

    /// What the lines so far had of the fields of the descriptors.
    pub fn fields(&self) -> &LogFields {
        &self.fields
    }
}
