//! `response`: headers and a body.

use super::fields::fields;
use super::{Level, RawHeader, RawResponse};
use crate::document::{Field, Node, PathElement, Report, Spanned, Text, mapping, scalar};

/// Reads a `response` block.
pub(super) fn read(node: &Node, report: &mut Report) -> Option<RawResponse> {
    let mut response = RawResponse::default();
    for field in fields(node, Level::Response, report)? {
        report.within(PathElement::Key(field.name), |report| match field.name {
            "headers" => response.headers = read_headers(field.node, report),
            "standard" => response.standard = read_standard(field.node, report),
            "over_limit" => read_over_limit(field.node, &mut response, report),
            _ => {}
        });
    }
    Some(response)
}

fn read_over_limit(node: &Node, response: &mut RawResponse, report: &mut Report) {
    for field in fields(node, Level::OverLimit, report).unwrap_or_default() {
        report.within(PathElement::Key(field.name), |report| match field.name {
            "headers" => response.over_limit_headers = read_headers(field.node, report),
            "standard" => response.over_limit_standard = read_standard(field.node, report),
            "body" => {
                if let Field::Given(body) = scalar::text(field.node, report) {
                    response.body = Some(body);
                }
            }
            _ => {}
        });
    }
}

fn read_standard(node: &Node, report: &mut Report) -> Vec<Spanned<Text>> {
    match scalar::one_or_more(node, report) {
        Field::Given(names) => names.value,
        Field::Absent | Field::Invalid => Vec::new(),
    }
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
