//! Compares an answer with the expectation of a test.

use serde_json::Value as Json;

use super::report::Difference;
use super::test_file::{Expectation, ExpectedBody, ExpectedCode, ExpectedHeader, ExpectedStatus};
use crate::engine::{Code, Decision, Header, Status};
use crate::policy::{Metadata, Value};

/// The properties of an answer that are not as expected; empty if it passes.
pub(super) fn differences(expect: &Expectation, got: &Decision) -> Vec<Difference> {
    let mut found = Differences(Vec::new());
    if let Some(code) = expect.code {
        found.compare("code", code.as_str(), &code_for(code, got));
    }
    for (index, (expected, status)) in expect.statuses.iter().zip(&got.statuses).enumerate() {
        let prefix = match expect.statuses.len() {
            1 => String::new(),
            _ => format!("descriptor {} ", index + 1),
        };
        found.status(&prefix, expected, status);
    }
    if let Some(headers) = &expect.headers {
        found.headers("header", headers, &got.headers);
        found.unexpected_headers("header", headers, &got.headers);
    }
    found.headers("header", &expect.headers_include, &got.headers);
    if let Some(headers) = &expect.request_headers {
        found.headers("request header", headers, &got.request_headers);
        found.unexpected_headers("request header", headers, &got.request_headers);
    }
    if let Some(body) = &expect.body {
        found.body(body, got.body.as_deref());
    }
    if let Some(is_expected) = expect.lease {
        let text = |is_granted| if is_granted { "granted" } else { "none" };
        found.compare("lease", text(is_expected), text(got.grant.is_some()));
    }
    if let Some(is_expected) = expect.exempt {
        let text = |is_exempt| if is_exempt { "yes" } else { "no" };
        found.compare("exempt", text(is_expected), text(got.is_exempt));
    }
    if let Some(metadata) = &expect.metadata {
        let none = Metadata::new();
        let got = got.metadata.as_deref().unwrap_or(&none);
        if metadata != got {
            let text = |metadata: &Metadata| to_json(&Value::Map(metadata.clone())).to_string();
            found.add("metadata", text(metadata), text(got));
        }
    }
    found.0
}

/// The code of the whole answer.
pub(super) fn overall(decision: &Decision) -> ExpectedCode {
    match decision.code {
        Code::Ok => ExpectedCode::Ok,
        Code::OverLimit => ExpectedCode::OverLimit,
    }
}

pub(super) fn status_code(status: &Status) -> ExpectedCode {
    match (status.code, &status.limit) {
        (Code::OverLimit, _) => ExpectedCode::OverLimit,
        (Code::Ok, Some(_)) => ExpectedCode::Ok,
        (Code::Ok, None) if *status == Status::UNLIMITED => ExpectedCode::Unlimited,
        (Code::Ok, None) => ExpectedCode::NoLimit,
    }
}

/// The text to compare with the code that is expected for the whole answer.
fn code_for(expected: ExpectedCode, got: &Decision) -> String {
    match expected {
        ExpectedCode::Ok | ExpectedCode::OverLimit => overall(got).as_str().to_owned(),
        // For the whole answer these mean: for each descriptor.
        ExpectedCode::NoLimit | ExpectedCode::Unlimited => {
            let codes: Vec<ExpectedCode> = got.statuses.iter().map(status_code).collect();
            if codes.iter().all(|code| *code == expected) {
                return expected.as_str().to_owned();
            }
            let codes: Vec<&str> = codes.into_iter().map(ExpectedCode::as_str).collect();
            codes.join(", ")
        }
    }
}

/// The differences found so far.
struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, what: impl Into<String>, expected: String, got: String) {
        self.0.push(Difference {
            what: what.into(),
            expected,
            got,
        });
    }

    fn compare(&mut self, what: impl Into<String>, expected: &str, got: &str) {
        if expected != got {
            self.add(what, expected.to_owned(), got.to_owned());
        }
    }

    fn status(&mut self, prefix: &str, expect: &ExpectedStatus, got: &Status) {
        if let Some(expected) = expect.code {
            let code = status_code(got);
            // `ok` is any answer that admits.
            let is_any_ok = expected == ExpectedCode::Ok && code != ExpectedCode::OverLimit;
            if !is_any_ok {
                self.compare(format!("{prefix}code"), expected.as_str(), code.as_str());
            }
        }
        let limit = got.limit.as_ref();
        if let Some(remaining) = expect.remaining {
            let what = format!("{prefix}remaining");
            self.compare(what, &remaining.to_string(), &got.remaining.to_string());
        }
        if let Some(available) = expect.available {
            let what = format!("{prefix}available");
            self.compare(what, &available.to_string(), &got.available.to_string());
        }
        if let Some(secs) = expect.reset_after_secs {
            let reset = got
                .reset_after_secs
                .map_or_else(none, |secs| format!("{secs}s"));
            self.compare(format!("{prefix}reset"), &format!("{secs}s"), &reset);
        }
        if let Some(quota) = expect.limit {
            let reported = limit.map_or_else(none, |limit| limit.quota.to_string());
            self.compare(format!("{prefix}limit"), &quota.to_string(), &reported);
        }
        if let Some(name) = &expect.name {
            let reported = limit.and_then(|limit| limit.name.as_deref());
            let reported = reported.unwrap_or_default();
            if name != reported {
                let shown = |name: &str| if name.is_empty() { "none" } else { name }.to_owned();
                self.add(format!("{prefix}name"), shown(name), shown(reported));
            }
        }
    }

    fn headers(&mut self, what: &str, expected: &[ExpectedHeader], got: &[Header]) {
        for header in expected {
            let found = got
                .iter()
                .find(|found| found.name.eq_ignore_ascii_case(&header.name));
            let found = found.map(|found| found.value.as_str());
            if found != header.value.as_deref() {
                let shown = |value: Option<&str>| value.map_or_else(none, str::to_owned);
                let what = format!("{what} {}", header.name);
                self.add(what, shown(header.value.as_deref()), shown(found));
            }
        }
    }

    /// Headers of the answer that are not expected.
    fn unexpected_headers(&mut self, what: &str, expected: &[ExpectedHeader], got: &[Header]) {
        for found in got {
            let is_same = |header: &ExpectedHeader| found.name.eq_ignore_ascii_case(&header.name);
            if !expected.iter().any(is_same) {
                self.add(
                    format!("{what} {}", found.name),
                    none(),
                    found.value.clone(),
                );
            }
        }
    }

    fn body(&mut self, expected: &ExpectedBody, got: Option<&str>) {
        let shown = match expected {
            ExpectedBody::Text(text) if text == got.unwrap_or_default() => return,
            ExpectedBody::Text(text) if text.is_empty() => none(),
            ExpectedBody::Text(text) => text.clone(),
            ExpectedBody::Json(value) => {
                let parsed = got.and_then(|got| serde_json::from_str(got).ok());
                if parsed.map(from_json).is_some_and(|parsed| parsed == *value) {
                    return;
                }
                to_json(value).to_string()
            }
        };
        let got = got.filter(|got| !got.is_empty());
        self.add(
            "body",
            shown,
            got.map_or_else(none, |got| got.trim_end().to_owned()),
        );
    }
}

fn none() -> String {
    "none".to_owned()
}

/// Converts JSON; all numbers become floats, so that 1 equals 1.0.
pub(super) fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(is),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::Text(text),
        Json::Array(values) => Value::List(values.into_iter().map(from_json).collect()),
        Json::Object(pairs) => {
            let pairs = pairs.into_iter();
            Value::Map(pairs.map(|(key, value)| (key, from_json(value))).collect())
        }
    }
}

fn to_json(value: &Value) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Null => Json::Null,
        Value::Bool(is) => Json::Bool(*is),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => {
            Json::from(*number as i64)
        }
        Value::Number(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(pairs) => {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| (key.clone(), to_json(value)))
                .collect()
        }
    }
}
