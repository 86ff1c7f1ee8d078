//! Templates of a `response` block, with every check that does not need a request.

mod body;

use std::collections::HashSet;

use super::standard::StandardHeaders;
use super::summary::DomainSummary;
use crate::document::{
    DocumentCode, PathElement, Position, Report, Spanned, Text, did_you_mean, quoted,
};
use crate::policy::PolicyCode;
use crate::policy::raw::{RawHeader, RawResponse};
use crate::policy::response::{HeaderTemplate, OverLimit, ResponseTemplate};
use crate::policy::template::{self, HeaderValueTemplate, Operator, TemplateError, TemplatePiece};

/// Headers that would break the answer.
const FORBIDDEN: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// Compiles a block; invalid parts are reported and left out.
pub(super) fn compile(
    raw: &RawResponse,
    summary: &DomainSummary,
    report: &mut Report,
) -> ResponseTemplate {
    let sets = within("standard", report, |report| sets(&raw.standard, report));
    let mut headers = within("headers", report, |report| {
        for header in &raw.headers {
            check_not_content_type(header, report);
        }
        compile_headers(&raw.headers, &sets, summary, report)
    });
    let over_limit = within("over_limit", report, |report| {
        compile_over_limit(raw, &sets, summary, report)
    });
    headers.extend(sets.iter().flat_map(|set| set.headers()));
    let names = over_limit
        .headers
        .iter()
        .map(|header| header.name.to_ascii_lowercase());
    let names: HashSet<String> = names.collect();
    for header in &mut headers {
        header.replaced_on_refusal = names.contains(&header.name.to_ascii_lowercase());
    }
    ResponseTemplate {
        headers: headers.into(),
        over_limit,
    }
}

/// Compiles the response of a refusal, with the headers of the block's sets that only refusals have.
fn compile_over_limit(
    raw: &RawResponse,
    block_sets: &[StandardHeaders],
    summary: &DomainSummary,
    report: &mut Report,
) -> OverLimit {
    let own_sets = within("standard", report, |report| {
        sets(&raw.over_limit_standard, report)
    });
    let mut headers = within("headers", report, |report| {
        compile_headers(&raw.over_limit_headers, &own_sets, summary, report)
    });
    let is_new = |set: &&StandardHeaders| !own_sets.contains(set);
    for set in block_sets.iter().filter(is_new) {
        let on_refusal = set.headers_on_refusal();
        let own = |header: &HeaderTemplate| {
            let is_own = |own: &HeaderTemplate| own.name.eq_ignore_ascii_case(&header.name);
            headers.iter().any(is_own)
        };
        let missing: Vec<_> = on_refusal.filter(|header| !own(header)).collect();
        headers.extend(missing);
    }
    headers.extend(own_sets.iter().flat_map(|set| set.all_headers()));
    let allow = raw.allow.as_ref().is_some_and(|allow| allow.value);
    check_soft(raw, allow, report);
    let request_headers = within("request_headers", report, |report| {
        compile_headers(&raw.request_headers, &[], summary, report)
    });
    OverLimit {
        headers: headers.into(),
        body: within("body", report, |report| body::compile(raw, summary, report)),
        allow,
        request_headers: request_headers.into(),
    }
}

/// Warns of parts of `over_limit` that are never sent: a request is either refused or let through.
fn check_soft(raw: &RawResponse, allow: bool, report: &mut Report) {
    if allow {
        let headers = raw.over_limit_headers.first();
        let standard = raw.over_limit_standard.first();
        let of_refusals = [
            ("headers", headers.map(|header| header.name.position)),
            ("body", raw.body.as_ref().map(|body| body.template.position)),
            ("standard", standard.map(|name| name.position)),
        ];
        for (key, position) in of_refusals {
            if let Some(position) = position {
                let message =
                    format!("`{key}` has no effect next to `allow: true`: nothing is refused");
                let help = "write headers for the client under `response.headers`, and headers for the upstream \
                            under `request_headers`";
                within(key, report, |report| {
                    report.add_with_help(PolicyCode::NoEffect, position, message, help);
                });
            }
        }
    } else if let Some(header) = raw.request_headers.first() {
        let message = "`request_headers` has no effect without `allow: true`: a refused request does not reach \
                       the upstream";
        let help = "add `allow: true`, or write headers for the client under `headers`";
        within("request_headers", report, |report| {
            report.add_with_help(PolicyCode::NoEffect, header.name.position, message, help);
        });
    }
}

fn within<T>(key: &'static str, report: &mut Report, inside: impl FnOnce(&mut Report) -> T) -> T {
    report.within(PathElement::Key(key), inside)
}

/// The sets of those names.
fn sets(names: &[Spanned<Text>], report: &mut Report) -> Vec<StandardHeaders> {
    let mut sets = Vec::new();
    for name in names {
        match StandardHeaders::from_name(&name.value) {
            Some(set) if sets.contains(&set) => {
                let message = "the set is listed twice";
                report.add(PolicyCode::NoEffect, name.position, message);
            }
            Some(set) => sets.push(set),
            None => {
                let message = format!("unknown value {}", quoted(&name.value));
                let names = StandardHeaders::ALL.map(StandardHeaders::name);
                let near = did_you_mean(&name.value.to_ascii_lowercase(), names);
                let help = near.unwrap_or_else(|| format!("use one of {}", names.join(", ")));
                report.add_with_help(DocumentCode::InvalidValue, name.position, message, help);
            }
        }
    }
    sets
}

/// The headers of a block whose `standard` adds these sets.
fn compile_headers(
    raw: &[RawHeader],
    sets: &[StandardHeaders],
    summary: &DomainSummary,
    report: &mut Report,
) -> Vec<HeaderTemplate> {
    let mut headers: Vec<HeaderTemplate> = Vec::new();
    let mut names: HashSet<String> = HashSet::new();
    for header in raw {
        let name = &header.name;
        if !names.insert(name.value.to_ascii_lowercase()) {
            let message = format!("duplicate header {}", quoted(&name.value));
            report.add(PolicyCode::DuplicateHeader, name.position, message);
            continue;
        }
        let contains = |set: &&StandardHeaders| set.contains(&name.value);
        if let Some(set) = sets.iter().find(contains) {
            let header = quoted(&name.value);
            let message = format!("`standard: {}` also adds the header {header}", set.name());
            let help = "remove one of them";
            report.add_with_help(PolicyCode::DuplicateHeader, name.position, message, help);
        }
        check_name(name, report);
        if header.value.value.chars().any(char::is_control) {
            let message = "control character in the value of a header";
            let help = "write it on one line";
            report.add_with_help(
                PolicyCode::InvalidHeaderValue,
                header.value.position,
                message,
                help,
            );
        }
        headers.push(HeaderTemplate {
            name: (*name.value).into(),
            value: HeaderValueTemplate::new(pieces(
                &header.value,
                |_| header.value.position,
                summary,
                report,
            )),
            replaced_on_refusal: false,
        });
    }
    headers
}

fn check_name(name: &Spanned<Text>, report: &mut Report) {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let lower = name.value.to_ascii_lowercase();
    if FORBIDDEN.contains(&lower.as_str()) {
        let message = format!("a policy cannot set {}", quoted(&name.value));
        report.add(PolicyCode::ForbiddenHeader, name.position, message);
    } else if name.value.starts_with(':') {
        let message = "a policy cannot set headers that begin with `:`";
        report.add(PolicyCode::ForbiddenHeader, name.position, message);
    } else if name.value.is_empty() || !name.value.bytes().all(is_token) {
        let message = format!("{} is not a valid header name", quoted(&name.value));
        report.add(PolicyCode::InvalidHeaderName, name.position, message);
    }
}

fn check_not_content_type(header: &RawHeader, report: &mut Report) {
    if is_content_type(header) {
        let message = "`content-type` would be added to the upstream's";
        let help = "put it under `over_limit.headers`";
        report.add_with_help(
            PolicyCode::ForbiddenHeader,
            header.name.position,
            message,
            help,
        );
    }
}

/// The pieces of a template, without the invalid ones.
fn pieces(
    text: &Spanned<Text>,
    place: impl Fn(usize) -> Option<Position>,
    summary: &DomainSummary,
    report: &mut Report,
) -> Vec<TemplatePiece> {
    let (mut pieces, faults) = template::parse(&text.value);
    for (at, fault) in &faults {
        report_template_error(fault, place(*at), report);
    }
    pieces.retain(|piece| {
        let TemplatePiece::Operator(operator) = piece else {
            return true;
        };
        is_allowed(operator, text.position, summary, report)
    });
    pieces
}

fn is_allowed(
    operator: &Operator,
    position: Option<Position>,
    summary: &DomainSummary,
    report: &mut Report,
) -> bool {
    match operator {
        Operator::Entry(key) if summary.is_secret(key) => {
            let message = format!("the key {} is secret: its values are hidden", quoted(key));
            report.add(PolicyCode::SecretExposed, position, message);
            false
        }
        Operator::Metadata(key) if !summary.has_metadata(key) => {
            let message = format!("no descriptor of this domain has metadata {}", quoted(key));
            report.add(PolicyCode::NoEffect, position, message);
            true
        }
        _ => true,
    }
}

fn report_template_error(fault: &TemplateError, position: Option<Position>, report: &mut Report) {
    let message_and_hint = match fault {
        TemplateError::UnescapedPercent => {
            let message = "a `%` that does not begin an operator".to_owned();
            let help = "write `%%` for a literal `%`".to_owned();
            report.add_with_help(PolicyCode::UnescapedPercent, position, message, help);
            return;
        }
        TemplateError::UnknownOperator(name) => {
            let near = did_you_mean(&name.to_ascii_uppercase(), template::operator_names());
            let names: Vec<&str> = template::operator_names().collect();
            let help = near.unwrap_or_else(|| format!("use one of {}", names.join(", ")));
            (format!("unknown operator {}", quoted(name)), help)
        }
        TemplateError::InvalidArgument(name) => {
            let help = "only `METADATA` and `ENTRY` have a key, as in `%ENTRY(path)%`";
            (
                format!("wrong argument of the operator {}", quoted(name)),
                help.to_owned(),
            )
        }
    };
    report.add_with_help(
        PolicyCode::UnknownOperator,
        position,
        message_and_hint.0,
        message_and_hint.1,
    );
}

fn is_content_type(header: &RawHeader) -> bool {
    header.name.value.eq_ignore_ascii_case("content-type")
}
