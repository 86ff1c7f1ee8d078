//! `response`: headers and a body.

use super::{LANGUAGE, RawBody, RawHeader, RawResponse, types};
use crate::document::{Field, Key, Level, Node, Report, Spanned, Text, mapping, scalar};

#[rustfmt::skip]
pub(super) static RESPONSE: Level<RawResponse> = Level {
    name: "`response`",
    definition: "response",
    required: &[],
    base: None,
    keys: &[
        Key::new("headers", types::HEADERS, "Headers of every response that reports a limit.",
            |response, pair, report| response.headers = read_headers(&pair.node, report)),
        Key::new("over_limit", types::OVER_LIMIT, "Headers and body of a refusal, or what replaces a refusal.",
            |response, pair, report| {
                OVER_LIMIT.read(&pair.node, response, &LANGUAGE, report);
            }),
        Key::new("standard", types::STANDARD, "Standard sets of headers: x-ratelimit, ratelimit, retry-after.",
            |response, pair, report| response.standard = read_standard(&pair.node, report)),
    ],
};

#[rustfmt::skip]
pub(super) static OVER_LIMIT: Level<RawResponse> = Level {
    name: "`over_limit`",
    definition: "over_limit",
    required: &[],
    base: None,
    keys: &[
        Key::new("headers", types::HEADERS, "Headers of a refusal.",
            |response, pair, report| response.over_limit_headers = read_headers(&pair.node, report)),
        Key::new("body", types::TEXT, "The body of a refusal.",
            |response, pair, report| response.body = read_body(&pair.node, report)),
        Key::new("standard", types::STANDARD, "Standard sets of headers, on refusals only.",
            |response, pair, report| response.over_limit_standard = read_standard(&pair.node, report)),
        Key::new("allow", types::FLAG, "Requests over the limit are let through.",
            |response, pair, report| response.allow = super::flag(pair, report)),
        Key::new("request_headers", types::HEADERS,
            "With allow: headers for the upstream, on requests over the limit.",
            |response, pair, report| response.request_headers = read_headers(&pair.node, report)),
    ],
};

/// Reads a `response` block.
pub(super) fn read(node: &Node, report: &mut Report) -> Option<RawResponse> {
    let mut response = RawResponse::default();
    RESPONSE.read(node, &mut response, &LANGUAGE, report)?;
    Some(response)
}

fn read_standard(node: &Node, report: &mut Report) -> Vec<Spanned<Text>> {
    match scalar::one_or_more(node, report) {
        Field::Given(names) => names.value,
        Field::Absent | Field::Invalid => Vec::new(),
    }
}

fn read_body(node: &Node, report: &mut Report) -> Option<RawBody> {
    Some(RawBody {
        template: scalar::text(node, report).given()?.clone(),
        start: node.text_position(),
    })
}

fn read_headers(node: &Node, report: &mut Report) -> Vec<RawHeader> {
    let mut headers = Vec::new();
    for pair in mapping(node, report).unwrap_or_default() {
        let value = match scalar::text(&pair.node, report) {
            Field::Given(value) => value,
            Field::Absent => Spanned {
                value: "".into(),
                position: Some(pair.node.position),
            },
            Field::Invalid => continue,
        };
        headers.push(RawHeader {
            name: Spanned {
                value: pair.key.clone(),
                position: Some(pair.position),
            },
            value,
        });
    }
    headers
}
