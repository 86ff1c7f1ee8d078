//! Scalars that only scenarios have.

use super::super::test_file::ExpectedCode;
use super::super::time;
use crate::clock::{Micros, Timestamp};
use crate::document::{DocumentCode, Kind, Node, Report, Style, did_you_mean, scalar, wrong_type};
use crate::limit::{Quota, Rate};
use crate::scenario::ScenarioCode;

/// A point in time.
pub(super) fn timestamp(node: &Node, report: &mut Report) -> Option<Timestamp> {
    let parsed = text(node).and_then(time::parse_timestamp);
    if parsed.is_none() {
        let message = "invalid timestamp: expected UTC, 1970 or later";
        let help = "write it as `2026-01-01T00:00:00Z`, or as Unix seconds";
        let position = Some(node.position);
        report.add_with_help(ScenarioCode::InvalidTime, position, message, help);
    }
    parsed
}

pub(super) fn duration(node: &Node, report: &mut Report) -> Option<Micros> {
    let parsed = text(node).and_then(time::parse_duration);
    if parsed.is_none() {
        let help = "write it as `30s`, `1m30s`, `250ms` or `2 days`";
        let position = Some(node.position);
        report.add_with_help(
            ScenarioCode::InvalidTime,
            position,
            "invalid duration",
            help,
        );
    }
    parsed
}

/// A duration in whole seconds.
pub(super) fn seconds(node: &Node, report: &mut Report) -> Option<u64> {
    const MICROS: u64 = 1_000_000;
    let micros = duration(node, report)?.get();
    if !micros.is_multiple_of(MICROS) {
        let message = "a reset is reported in whole seconds";
        report.add(ScenarioCode::InvalidTime, Some(node.position), message);
        return None;
    }
    Some(micros / MICROS)
}

/// A limit, such as `600 per minute`.
pub(super) fn rate(node: &Node, report: &mut Report) -> Option<Rate> {
    let parsed = text(node).and_then(Rate::parse);
    if parsed.is_none() {
        let help = "write it as `600 per minute` or `1 per 5 minutes`";
        let position = Some(node.position);
        report.add_with_help(DocumentCode::WrongType, position, "invalid limit", help);
    }
    parsed
}

/// A limit as it is reported, such as `600 per minute` or `8 at once`.
pub(super) fn quota(node: &Node, report: &mut Report) -> Option<Quota> {
    match text(node).and_then(Quota::parse) {
        Some(quota) => Some(quota),
        None => rate(node, report).map(Quota::Rate),
    }
}

/// The code of an answer or of a descriptor.
pub(super) fn code(node: &Node, report: &mut Report) -> Option<ExpectedCode> {
    let Some(text) = text(node).filter(|_| !node.is_null()) else {
        wrong_type(node, "`ok` or `over_limit`", report);
        return None;
    };
    let code = ExpectedCode::ALL.iter().find(|(name, _)| *name == text);
    if code.is_none() {
        let names = ExpectedCode::ALL.iter().map(|(name, _)| *name);
        let help = did_you_mean(text, names)
            .unwrap_or_else(|| "it is ok, over_limit, no_limit or unlimited".to_owned());
        let position = Some(node.position);
        report.add_with_help(DocumentCode::InvalidValue, position, "unknown code", help);
    }
    code.map(|(_, code)| *code)
}

/// A whole number from 0 to 2³²−1.
pub(super) fn number(node: &Node, report: &mut Report) -> Option<u32> {
    let number = scalar::number(node, report);
    Some(number.given()?.value)
}

/// A whole number from −(2³²−1) to 2³²−1.
pub(super) fn signed(node: &Node, report: &mut Report) -> Option<i64> {
    if let Kind::Scalar(text, Style::Plain) = &node.kind
        && let Some(digits) = text.strip_prefix('-')
        && let Ok(number) = digits.parse::<u32>()
    {
        return Some(-i64::from(number));
    }
    number(node, report).map(i64::from)
}

/// Text that may be empty.
pub(super) fn written(node: &Node, report: &mut Report) -> Option<String> {
    let text = scalar::written(node, report);
    Some(text.given()?.value.to_string())
}

/// Text that is not empty.
pub(super) fn name(node: &Node, report: &mut Report) -> Option<String> {
    let text = scalar::text(node, report);
    if text.is_absent() {
        wrong_type(node, "text", report);
    }
    Some(text.given()?.value.to_string())
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
