//! `expect`: a code, or a mapping.

use super::{LANGUAGE, scalars, types};
use crate::document::{
    Key, Kind, Level, Node, Pair, PathElement, Position, Report, Spanned, Text, list, mapping,
    read_metadata, read_value, scalar,
};
use crate::scenario::ScenarioCode;
use crate::scenario::compare::from_json;
use crate::scenario::test_file::{Expectation, ExpectedBody, ExpectedHeader, ExpectedStatus};

/// The expected answer, before its parts are compared with the request.
#[derive(Debug, Default)]
pub(in crate::scenario) struct RawExpectation {
    /// Complete except for `counts` and `statuses`.
    pub(in crate::scenario) expectation: Expectation,
    /// The position of the key `code`.
    pub(in crate::scenario) code: Option<Position>,
    pub(in crate::scenario) ok: Option<Spanned<u32>>,
    pub(in crate::scenario) over_limit: Option<Spanned<u32>>,
    /// The status of the only descriptor.
    pub(in crate::scenario) status: ExpectedStatus,
    /// The first key of `status`.
    pub(in crate::scenario) status_key: Option<Spanned<Text>>,
    pub(in crate::scenario) descriptors: Option<Spanned<Vec<ExpectedStatus>>>,
}

const CODE: &str = "ok, over_limit, no_limit or unlimited.";
const REMAINING: &str = "The hits that would still be admitted, at most the limit.";
const AVAILABLE: &str = "The hits that would still be admitted, up to the burst of a token bucket.";
const RESET: &str = "The time until the limit resets, in whole seconds.";
const LIMIT: &str = "The limit that is reported.";
const NAME: &str = "The name of the limit that is reported; empty for none.";

#[rustfmt::skip]
pub(super) static EXPECT: Level<RawExpectation> = Level {
    name: "`expect`",
    definition: "expect",
    required: &[],
    base: None,
    keys: &[
        Key::new("code", types::CODE, CODE,
            |expect, pair, report| {
                expect.code = Some(pair.position);
                expect.expectation.code = scalars::code(&pair.node, report);
            }),
        Key::new("ok", types::NUMBER, "The number of calls that are admitted, before the others are refused.",
            |expect, pair, report| expect.ok = read_count(pair, report)),
        Key::new("over_limit", types::NUMBER, "The number of calls that are refused after them.",
            |expect, pair, report| expect.over_limit = read_count(pair, report)),
        Key::new("remaining", types::NUMBER, REMAINING,
            |expect, pair, report| expect.status(pair).remaining = scalars::number(&pair.node, report)),
        Key::new("available", types::NUMBER, AVAILABLE,
            |expect, pair, report| expect.status(pair).available = scalars::number(&pair.node, report)),
        Key::new("reset", types::DURATION, RESET,
            |expect, pair, report| expect.status(pair).reset_after_secs = scalars::seconds(&pair.node, report)),
        Key::new("limit", types::QUOTA, LIMIT,
            |expect, pair, report| expect.status(pair).limit = scalars::quota(&pair.node, report)),
        Key::new("name", types::TEXT, NAME,
            |expect, pair, report| expect.status(pair).name = scalars::written(&pair.node, report)),
        Key::new("descriptors", types::STATUSES, "The status of each descriptor, in order.",
            |expect, pair, report| expect.descriptors = read_statuses(&pair.node, report)),
        Key::new("headers", types::HEADERS, "All headers of the answer, in any order.",
            |expect, pair, report| expect.expectation.headers = Some(read_all_headers(&pair.node, report))),
        Key::new("headers_include", types::HEADERS, "Some of the headers; null for one that must be absent.",
            |expect, pair, report| expect.expectation.headers_include = read_some_headers(&pair.node, report)),
        Key::new("request_headers", types::HEADERS, "All headers for the upstream, in any order.",
            |expect, pair, report| expect.expectation.request_headers = Some(read_all_headers(&pair.node, report))),
        Key::new("body", types::BODY, "The body; empty text for none. JSON is compared by its content.",
            |expect, pair, report| expect.expectation.body = read_body(&pair.node, report)),
        Key::new("lease", types::FLAG, "Whether a lease is granted.",
            |expect, pair, report| expect.expectation.lease = scalar::boolean(&pair.node, report)),
        Key::new("exempt", types::FLAG, "Whether the request is exempt from all limits.",
            |expect, pair, report| expect.expectation.exempt = scalar::boolean(&pair.node, report)),
        Key::new("metadata", types::METADATA, "All metadata of the answer.",
            |expect, pair, report| expect.expectation.metadata = read_metadata(&pair.node, report)),
    ],
};

#[rustfmt::skip]
pub(super) static EXPECTED_STATUS: Level<ExpectedStatus> = Level {
    name: "an element of `descriptors`",
    definition: "expected_status",
    required: &[],
    base: None,
    keys: &[
        Key::new("code", types::CODE, CODE,
            |status, pair, report| status.code = scalars::code(&pair.node, report)),
        Key::new("remaining", types::NUMBER, REMAINING,
            |status, pair, report| status.remaining = scalars::number(&pair.node, report)),
        Key::new("available", types::NUMBER, AVAILABLE,
            |status, pair, report| status.available = scalars::number(&pair.node, report)),
        Key::new("reset", types::DURATION, RESET,
            |status, pair, report| status.reset_after_secs = scalars::seconds(&pair.node, report)),
        Key::new("limit", types::QUOTA, LIMIT,
            |status, pair, report| status.limit = scalars::quota(&pair.node, report)),
        Key::new("name", types::TEXT, NAME,
            |status, pair, report| status.name = scalars::written(&pair.node, report)),
    ],
};

impl RawExpectation {
    /// The status that a key is about.
    fn status(&mut self, pair: &Pair) -> &mut ExpectedStatus {
        self.status_key
            .get_or_insert_with(|| pair.at_key(pair.key.clone()));
        &mut self.status
    }
}

/// Reads `expect`; `None` and a finding if it is neither a code nor a mapping.
pub(super) fn read(node: &Node, report: &mut Report) -> Option<RawExpectation> {
    let mut expect = RawExpectation::default();
    if let Kind::Scalar(..) = node.kind {
        expect.expectation.code = Some(scalars::code(node, report)?);
    } else {
        EXPECT.read(node, &mut expect, &LANGUAGE, report)?;
    }
    Some(expect)
}

fn read_count(pair: &Pair, report: &mut Report) -> Option<Spanned<u32>> {
    scalars::number(&pair.node, report).map(|count| pair.at_key(count))
}

fn read_statuses(node: &Node, report: &mut Report) -> Option<Spanned<Vec<ExpectedStatus>>> {
    let nodes = list(node, report)?.iter().enumerate();
    let read_at =
        |(at, node)| report.within(PathElement::Index(at), |report| read_status(node, report));
    Some(Spanned {
        value: nodes.map(read_at).collect(),
        position: Some(node.position),
    })
}

fn read_status(node: &Node, report: &mut Report) -> ExpectedStatus {
    let mut status = ExpectedStatus::default();
    if let Kind::Scalar(..) = node.kind {
        status.code = scalars::code(node, report);
    } else {
        EXPECTED_STATUS.read(node, &mut status, &LANGUAGE, report);
    }
    status
}

fn read_all_headers(node: &Node, report: &mut Report) -> Vec<ExpectedHeader> {
    for pair in mapping(node, report).unwrap_or_default() {
        if pair.node.is_null() {
            let message = "a header without a value";
            let help = "leave it out: all headers are listed here";
            let position = Some(pair.position);
            report.add_with_help(ScenarioCode::InvalidExpectation, position, message, help);
        }
    }
    match node.kind {
        Kind::Map(_) => read_some_headers(node, report),
        _ => Vec::new(),
    }
}

/// Names and values; null for a header that must be absent.
fn read_some_headers(node: &Node, report: &mut Report) -> Vec<ExpectedHeader> {
    let mut headers = Vec::new();
    for pair in mapping(node, report).unwrap_or_default() {
        let value = match pair.node.is_null() {
            true => None,
            false => scalars::written(&pair.node, report),
        };
        let name = pair.key.to_string();
        headers.push(ExpectedHeader { name, value });
    }
    headers
}

fn read_body(node: &Node, report: &mut Report) -> Option<ExpectedBody> {
    if let Kind::List(_) | Kind::Map(_) = node.kind {
        return read_value(node, report).map(ExpectedBody::Json);
    }
    let text = scalars::written(node, report)?;
    if !text.trim_start().starts_with(['{', '[']) {
        return Some(ExpectedBody::Text(text));
    }
    match serde_json::from_str(&text) {
        Ok(json) => Some(ExpectedBody::Json(from_json(json))),
        Err(_) => {
            let message = "the body begins like JSON but is not valid JSON";
            let position = Some(node.position);
            report.add(ScenarioCode::InvalidExpectation, position, message);
            None
        }
    }
}
