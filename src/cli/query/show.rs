//! The results of `weir query`, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::calls::CallResults;
use super::unmatched::{self, DomainKnowledge};
use crate::cli::output::{escape, escape_lines};
use crate::cli::table::{Align, TextTable};
use crate::client::{DescriptorStatus, ReportedLimit};
use crate::clock::Micros;
use crate::request::{Cost, Descriptor, Request};

pub(super) fn text(request: &Request, results: &CallResults, domain: &DomainKnowledge) -> String {
    let answer = &results.last;
    let mut out = format!("{}\n\n", code(answer.over_limit));
    let mut table = TextTable::new([
        ("descriptor", Align::Left),
        ("code", Align::Left),
        ("limit", Align::Left),
        ("remaining", Align::Right),
        ("reset", Align::Right),
    ]);
    for (descriptor, status) in request.descriptors.iter().zip(&answer.statuses) {
        table.row([
            pairs(descriptor),
            code(status.over_limit).to_owned(),
            status.limit.as_ref().map_or_else(dash, ToString::to_string),
            remaining(status),
            status
                .reset_after_secs
                .map_or_else(dash, |secs| format!("{secs} s")),
        ]);
    }
    out.push_str(&table.to_string());
    for (descriptor, status) in request.descriptors.iter().zip(&answer.statuses) {
        if let Some(note) = never_admitted(descriptor.cost, status) {
            append(&mut out, format_args!("\n{note}\n"));
        }
    }
    if let Some(note) = unmatched::note(request, answer, domain) {
        append(&mut out, format_args!("\n{note}\n"));
    }
    if !answer.headers.is_empty() {
        out.push('\n');
    }
    for (name, value) in &answer.headers {
        append(&mut out, format_args!("{name}: {}\n", escape(value)));
    }
    for (name, value) in &answer.request_headers {
        let value = escape(value);
        append(
            &mut out,
            format_args!("\nto the upstream: {name}: {value}\n"),
        );
    }
    if let Some(lease) = &answer.lease {
        append(&mut out, format_args!("\nlease {}\n", escape(lease)));
    }
    if !answer.body.is_empty() {
        append(&mut out, format_args!("\n{}\n", escape_lines(&answer.body)));
    }
    if results.ok + results.over_limit > 1 {
        append(&mut out, format_args!("\n{}\n", summary(results)));
    }
    out
}

pub(super) fn json(request: &Request, results: &CallResults, domain: &DomainKnowledge) -> String {
    let answer = &results.last;
    let statuses = request.descriptors.iter().zip(&answer.statuses);
    let headers = |headers: &[(String, String)]| -> Vec<Value> {
        let headers = headers.iter();
        headers
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect()
    };
    let value = json!({
        "code": code(answer.over_limit),
        "domain_is_known": match domain {
            DomainKnowledge::Unasked => None,
            DomainKnowledge::Known => Some(true),
            DomainKnowledge::Missing { .. } => Some(false),
        },
        "descriptors": statuses.map(|(descriptor, status)| json!({
            "descriptor": pairs(descriptor),
            "code": code(status.over_limit),
            "limit": status.limit.as_ref().map(limit_value),
            "remaining": status.remaining,
            "reset_seconds": status.reset_after_secs,
        })).collect::<Vec<_>>(),
        "headers": headers(&answer.headers),
        "request_headers": headers(&answer.request_headers),
        "body": Some(&answer.body).filter(|body| !body.is_empty()),
        "lease": answer.lease,
        "calls": {
            "ok": results.ok,
            "over_limit": results.over_limit,
            "first_over_limit": results.first_refused.map(|refused| json!({
                "call": refused.call,
                "after_seconds": secs(refused.after),
            })),
            "seconds": secs(results.elapsed),
        },
    });
    format!("{value:#}\n")
}

/// A note on hits that are more than the limit ever admits at once. The answer does not contain the burst of a bucket.
fn never_admitted(cost: Cost, status: &DescriptorStatus) -> Option<String> {
    let (Cost::Hits(hits), Some(reported)) = (cost, &status.limit) else {
        return None;
    };
    let number = reported.requests_per_unit;
    (status.over_limit && hits > number).then(|| {
        format!(
            "never: {hits} hits are more than the limit, {reported}, unless it has a larger burst"
        )
    })
}

fn code(over_limit: bool) -> &'static str {
    if over_limit { "OVER_LIMIT" } else { "OK" }
}

fn dash() -> String {
    "-".to_owned()
}

/// A descriptor as it is written on the command line.
fn pairs(descriptor: &Descriptor) -> String {
    let pairs = descriptor.entries.iter().map(|entry| {
        let (key, value) = (&entry.key, &entry.value);
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        format!("{key}={value}")
    });
    pairs.collect::<Vec<_>>().join(" ")
}

fn limit_value(limit: &ReportedLimit) -> Value {
    json!({
        "name": Some(&limit.name).filter(|name| !name.is_empty()),
        "requests_per_unit": limit.requests_per_unit,
        "unit": limit.unit,
        "unit_multiplier": limit.unit_multiplier,
    })
}

/// Without a reported limit, 0 means that no rule matched and the maximum that the rule is unlimited.
fn remaining(status: &DescriptorStatus) -> String {
    match (&status.limit, status.remaining) {
        (None, 0) => dash(),
        (None, u32::MAX) => "unlimited".to_owned(),
        (_, remaining) => remaining.to_string(),
    }
}

fn summary(results: &CallResults) -> String {
    let calls = results.ok + results.over_limit;
    let (elapsed, ok, over) = (secs(results.elapsed), results.ok, results.over_limit);
    let first = results.first_refused.map_or(String::new(), |refused| {
        let after = secs(refused.after);
        format!(
            "; the first refusal was call {}, after {after:.3} s",
            refused.call
        )
    });
    format!("{calls} calls in {elapsed:.3} s: {ok} OK, {over} OVER_LIMIT{first}")
}

fn secs(span: Micros) -> f64 {
    span.get() as f64 / 1e6
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String is infallible.
    let _ = out.write_fmt(text);
}
