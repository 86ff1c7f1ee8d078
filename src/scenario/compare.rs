//! An answer beside what was expected of it.

use serde_json::Value as Json;

use super::report::Difference;
use super::test_file::{Expectation, ExpectedBody, ExpectedCode, ExpectedHeader, ExpectedStatus};
use crate::engine::{Code, Decision, Header, Status};
use crate::policy::{Metadata, Value};

/// Where an answer is not as expected; empty if it is.
pub(super) fn differences(expect: &Expectation, got: &Decision) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    if let Some(word) = expect.code {
        let code = match word {
            ExpectedCode::Ok | ExpectedCode::OverLimit => Some(overall(got).as_str().to_owned()),
            // Said of the whole answer it is said of each descriptor.
            ExpectedCode::NoLimit | ExpectedCode::Unlimited => {
                let others = got.statuses.iter().filter(|status| word_of(status) != word);
                (others.count() > 0).then(|| words(&got.statuses))
            }
        };
        let expected = word.as_str();
        found.compare(
            "code",
            expected.to_owned(),
            code.unwrap_or_else(|| expected.to_owned()),
        );
    }
    for (at, (standing, status)) in expect.statuses.iter().zip(&got.statuses).enumerate() {
        let of = match expect.statuses.len() {
            1 => String::new(),
            _ => format!("descriptor {} ", at + 1),
        };
        found.standing(&of, standing, status);
    }
    if let Some(headers) = &expect.headers {
        found.headers(headers, &got.headers);
        found.further_headers(headers, &got.headers);
    }
    found.headers(&expect.headers_include, &got.headers);
    if let Some(body) = &expect.body {
        found.body(body, got.body.as_deref());
    }
    if let Some(is_expected) = expect.lease {
        let word = |is_granted| if is_granted { "granted" } else { "none" };
        let (expected, own) = (word(is_expected), word(got.grant.is_some()));
        found.compare("lease", expected.to_owned(), own.to_owned());
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

/// The whole answer in one word.
pub(super) fn overall(decision: &Decision) -> ExpectedCode {
    match decision.code {
        Code::Ok => ExpectedCode::Ok,
        Code::OverLimit => ExpectedCode::OverLimit,
    }
}

fn word_of(status: &Status) -> ExpectedCode {
    match (status.code, &status.limit) {
        (Code::OverLimit, _) => ExpectedCode::OverLimit,
        (Code::Ok, Some(_)) => ExpectedCode::Ok,
        (Code::Ok, None) if *status == Status::UNLIMITED => ExpectedCode::Unlimited,
        (Code::Ok, None) => ExpectedCode::NoLimit,
    }
}

fn words(statuses: &[Status]) -> String {
    let words: Vec<&str> = statuses
        .iter()
        .map(|status| word_of(status).as_str())
        .collect();
    words.join(", ")
}

/// What was found so far.
struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, what: impl Into<String>, expected: String, got: String) {
        self.0.push(Difference {
            what: what.into(),
            expected,
            got,
        });
    }

    fn compare(&mut self, what: impl Into<String>, expected: String, got: String) {
        if expected != got {
            self.add(what, expected, got);
        }
    }

    fn standing(&mut self, of: &str, expect: &ExpectedStatus, got: &Status) {
        if let Some(word) = expect.code {
            let own = word_of(got);
            let fits = own == word || (word == ExpectedCode::Ok && own != ExpectedCode::OverLimit);
            if !fits {
                self.add(
                    format!("{of}code"),
                    word.as_str().to_owned(),
                    own.as_str().to_owned(),
                );
            }
        }
        let limit = got.limit.as_ref();
        if let Some(remaining) = expect.remaining {
            let what = format!("{of}remaining");
            self.compare(what, remaining.to_string(), got.remaining.to_string());
        }
        if let Some(secs) = expect.reset_after_secs {
            let own = got
                .reset_after_secs
                .map_or_else(none, |secs| format!("{secs}s"));
            self.compare(format!("{of}reset"), format!("{secs}s"), own);
        }
        if let Some(amount) = expect.limit {
            let own = limit.map_or_else(none, |limit| limit.quota.to_string());
            self.compare(format!("{of}limit"), amount.to_string(), own);
        }
        if let Some(name) = &expect.name {
            let own = limit
                .and_then(|limit| limit.name.as_deref())
                .unwrap_or_default();
            if name != own {
                let shown = |name: &str| {
                    if name.is_empty() {
                        none()
                    } else {
                        name.to_owned()
                    }
                };
                self.add(format!("{of}name"), shown(name), shown(own));
            }
        }
    }

    fn headers(&mut self, expected: &[ExpectedHeader], got: &[Header]) {
        for header in expected {
            let own = got
                .iter()
                .find(|own| own.name.eq_ignore_ascii_case(&header.name));
            let own = own.map(|own| own.value.as_str());
            if own != header.value.as_deref() {
                let shown = |value: Option<&str>| value.map_or_else(none, str::to_owned);
                let what = format!("header {}", header.name);
                self.add(what, shown(header.value.as_deref()), shown(own));
            }
        }
    }

    /// Headers that nobody expected.
    fn further_headers(&mut self, expected: &[ExpectedHeader], got: &[Header]) {
        for own in got {
            let is_own = |header: &ExpectedHeader| own.name.eq_ignore_ascii_case(&header.name);
            if !expected.iter().any(is_own) {
                self.add(format!("header {}", own.name), none(), own.value.clone());
            }
        }
    }

    fn body(&mut self, expected: &ExpectedBody, got: Option<&str>) {
        let shown = match expected {
            ExpectedBody::Text(text) if text == got.unwrap_or_default() => return,
            ExpectedBody::Text(text) if text.is_empty() => none(),
            ExpectedBody::Text(text) => text.clone(),
            ExpectedBody::Json(value) => {
                let own = got.and_then(|got| serde_json::from_str(got).ok());
                if own.map(from_json).is_some_and(|own| own == *value) {
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

/// JSON, with all numbers alike: 1 is 1.0.
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
