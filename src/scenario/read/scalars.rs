//! Scalars that only scenarios have.

use super::super::test_file::ExpectedCode;
use super::super::time;
use crate::clock::{Micros, Timestamp};
use crate::document::{DocumentCode, Kind, Node, Report, Style, did_you_mean, scalar, wrong_type};
use crate::limit::{Quota, Rate};
use crate::scenario::ScenarioCode;

/// A moment.
pub(super) fn moment(node: &Node, report: &mut Report) -> Option<Timestamp> {
    let found = text(node).and_then(time::parse_timestamp);
    if found.is_none() {
        let hint = "write it as `2026-01-01T00:00:00Z`, or as Unix seconds";
        let message = "invalid timestamp: expected UTC, 1970 or later";
        report.add_with_hint(
            ScenarioCode::InvalidTime,
            Some(node.position),
            message,
            hint,
        );
    }
    found
}

/// A length of time.
pub(super) fn span(node: &Node, report: &mut Report) -> Option<Micros> {
    let found = text(node).and_then(time::parse_duration);
    if found.is_none() {
        let hint = "write it as `30s`, `1m30s`, `250ms` or `2 days`";
        let message = "invalid duration";
        report.add_with_hint(
            ScenarioCode::InvalidTime,
            Some(node.position),
            message,
            hint,
        );
    }
    found
}

/// A length of time in whole seconds.
pub(super) fn seconds(node: &Node, report: &mut Report) -> Option<u64> {
    const MICROS: u64 = 1_000_000;
    let span = span(node, report)?.get();
    if !span.is_multiple_of(MICROS) {
        let message = "a reset is reported in whole seconds";
        report.add(ScenarioCode::InvalidTime, Some(node.position), message);
        return None;
    }
    Some(span / MICROS)
}

/// A limit in words.
pub(super) fn rate(node: &Node, report: &mut Report) -> Option<Rate> {
    let found = text(node).and_then(Rate::parse);
    if found.is_none() {
        let hint = "write it as `600 per minute` or `1 per 5 minutes`";
        let message = "invalid limit";
        report.add_with_hint(DocumentCode::WrongType, Some(node.position), message, hint);
    }
    found
}

/// A limit that is reported, in words.
pub(super) fn quota(node: &Node, report: &mut Report) -> Option<Quota> {
    match text(node).and_then(Quota::parse) {
        Some(quota) => Some(quota),
        None => rate(node, report).map(Quota::Rate),
    }
}

/// A word for how something stands.
pub(super) fn word(node: &Node, report: &mut Report) -> Option<ExpectedCode> {
    let Some(text) = text(node).filter(|_| !node.is_null()) else {
        wrong_type(node, "`ok` or `over_limit`", report);
        return None;
    };
    let found = ExpectedCode::ALL.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let names = ExpectedCode::ALL.iter().map(|(word, _)| *word);
        let hint = did_you_mean(text, names)
            .unwrap_or_else(|| "it is ok, over_limit, no_limit or unlimited".to_owned());
        let message = "unknown code";
        report.add_with_hint(
            DocumentCode::InvalidValue,
            Some(node.position),
            message,
            hint,
        );
    }
    found.map(|(_, word)| *word)
}

/// A whole number from 0 to 2³²−1.
pub(super) fn number(node: &Node, report: &mut Report) -> Option<u32> {
    scalar::number(node, report)
        .given()
        .map(|number| number.value)
}

/// A whole number, whose absolute value is at most 2³²−1.
pub(super) fn signed(node: &Node, report: &mut Report) -> Option<i64> {
    if let Kind::Scalar(text, Style::Plain) = &node.kind
        && let Some(digits) = text.strip_prefix('-')
        && let Ok(number) = digits.parse::<u32>()
    {
        return Some(-i64::from(number));
    }
    number(node, report).map(i64::from)
}

/// Text, be it empty.
pub(super) fn written(node: &Node, report: &mut Report) -> Option<String> {
    let text = scalar::written(node, report);
    Some(text.given()?.value.to_string())
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
