//! An answer, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::calls::Asked;
use crate::cli::table::{Align, Table};
use crate::client::{Limit, Standing};
use crate::clock::Micros;
use crate::request::{Descriptor, Request};

pub(super) fn text(request: &Request, asked: &Asked) -> String {
    let answer = &asked.last;
    let mut out = format!("{}\n\n", code(answer.over_limit));
    let mut table = Table::new([
        ("descriptor", Align::Left),
        ("code", Align::Left),
        ("limit", Align::Left),
        ("remaining", Align::Right),
        ("reset", Align::Right),
    ]);
    for (descriptor, standing) in request.descriptors.iter().zip(&answer.standings) {
        table.row([
            pairs(descriptor),
            code(standing.over_limit).to_owned(),
            standing.limit.as_ref().map_or_else(dash, limit),
            remaining(standing),
            standing
                .reset_secs
                .map_or_else(dash, |secs| format!("{secs} s")),
        ]);
    }
    out.push_str(&table.to_string());
    if !answer.headers.is_empty() {
        out.push('\n');
    }
    for (name, value) in &answer.headers {
        append(&mut out, format_args!("{name}: {}\n", value.escape_debug()));
    }
    if let Some(lease) = &answer.lease {
        append(&mut out, format_args!("\nlease {}\n", lease.escape_debug()));
    }
    if !answer.body.is_empty() {
        append(&mut out, format_args!("\n{}\n", shown(&answer.body)));
    }
    if asked.ok + asked.over_limit > 1 {
        append(&mut out, format_args!("\n{}\n", summary(asked)));
    }
    out
}

pub(super) fn json(request: &Request, asked: &Asked) -> String {
    let answer = &asked.last;
    let standings = request.descriptors.iter().zip(&answer.standings);
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    let value = json!({
        "code": code(answer.over_limit),
        "descriptors": standings.map(|(descriptor, standing)| json!({
            "descriptor": pairs(descriptor),
            "code": code(standing.over_limit),
            "limit": standing.limit.as_ref().map(limit_value),
            "remaining": standing.remaining,
            "reset_seconds": standing.reset_secs,
        })).collect::<Vec<_>>(),
        "headers": headers.collect::<Vec<_>>(),
        "body": Some(&answer.body).filter(|body| !body.is_empty()),
        "lease": answer.lease,
        "calls": {
            "ok": asked.ok,
            "over_limit": asked.over_limit,
            "first_over_limit": asked.first_refusal.map(|refusal| json!({
                "call": refusal.call,
                "after_seconds": secs(refusal.after),
            })),
            "seconds": secs(asked.took),
        },
    });
    format!("{value:#}\n")
}

fn code(over_limit: bool) -> &'static str {
    if over_limit { "OVER_LIMIT" } else { "OK" }
}

fn dash() -> String {
    "-".to_owned()
}

/// What was asked, as it is written on the command line.
fn pairs(descriptor: &Descriptor) -> String {
    let pairs = descriptor.entries.iter().map(|entry| {
        let (key, value) = (&entry.key, &entry.value);
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        format!("{key}={value}")
    });
    pairs.collect::<Vec<_>>().join(" ")
}

fn limit(limit: &Limit) -> String {
    let name = match limit.name.as_str() {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    match limit.unit_multiplier {
        _ if limit.unit == "unknown" => format!("{} at once{name}", limit.requests_per_unit),
        1 => format!("{}/{}{name}", limit.requests_per_unit, limit.unit),
        times => format!("{}/{times} {}s{name}", limit.requests_per_unit, limit.unit),
    }
}

fn limit_value(limit: &Limit) -> Value {
    json!({
        "name": Some(&limit.name).filter(|name| !name.is_empty()),
        "requests_per_unit": limit.requests_per_unit,
        "unit": limit.unit,
        "unit_multiplier": limit.unit_multiplier,
    })
}

/// No limit was met if none is reported; one that is unlimited has all there is.
fn remaining(standing: &Standing) -> String {
    match (&standing.limit, standing.remaining) {
        (None, 0) => dash(),
        (None, u32::MAX) => "unlimited".to_owned(),
        (_, remaining) => remaining.to_string(),
    }
}

fn summary(asked: &Asked) -> String {
    let calls = asked.ok + asked.over_limit;
    let (took, ok, over) = (secs(asked.took), asked.ok, asked.over_limit);
    let first = asked.first_refusal.map_or(String::new(), |refusal| {
        let after = secs(refusal.after);
        format!(
            "; the first refusal was call {}, after {after:.3} s",
            refusal.call
        )
    });
    format!("{calls} calls in {took:.3} s: {ok} OK, {over} OVER_LIMIT{first}")
}

/// A body on a terminal: lines stay, control characters do not.
fn shown(body: &str) -> String {
    let lines = body.lines().map(|line| {
        let visible = line.chars().flat_map(|letter| {
            let kept = (!letter.is_control()).then_some(letter);
            kept.into_iter()
        });
        visible.collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn secs(span: Micros) -> f64 {
    span.get() as f64 / 1e6
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Text cannot refuse text.
    let _ = out.write_fmt(text);
}
