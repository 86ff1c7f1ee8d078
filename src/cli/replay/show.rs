//! The report as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::LogSummary;
use super::error::NameList;
use crate::cli::table::{Align, TextTable};
use crate::clock::Timestamp;
use crate::replay::{
    Change, Peak, PolicyOutcome, ReplayReport, RuleLabel, RuleTally, UnmatchedDescriptor,
};

/// The most rules in a text; JSON has all.
const ROWS: usize = 50;

/// The report as text; with `unmatched`, what matches no rule is listed.
pub(super) fn text(report: &ReplayReport, read: &LogSummary, unmatched: bool) -> String {
    let mut out = String::new();
    head(&mut out, report, read);
    let not_matched = &report.policy.unmatched_descriptors;
    if !unmatched && !not_matched.is_empty() {
        out.push_str("some descriptors match no rule: --unmatched lists their keys\n");
    }
    if unmatched && !not_matched.is_empty() {
        add(&mut out, format_args!("\n{}", unmatched_table(not_matched)));
        more(&mut out, not_matched.len());
    }
    if !report.policy.rules.is_empty() {
        add(&mut out, format_args!("\n{}", rules(&report.policy.rules)));
        more(&mut out, report.policy.rules.len());
    }
    for rule in report.policy.rules.iter().take(ROWS) {
        refused_most(&mut out, rule);
    }
    if let Some(against) = &report.against {
        let (refused, requests) = (against.refused, against.requests);
        let share = percent(refused, requests);
        add(
            &mut out,
            format_args!("\nagainst: {refused} of {requests} requests refused ({share})\n"),
        );
        add(&mut out, format_args!("\n{}", changes(&report.changes)));
        more(&mut out, report.changes.len());
    }
    out
}

fn head(out: &mut String, report: &ReplayReport, read: &LogSummary) {
    let PolicyOutcome {
        requests,
        refused,
        unmatched,
        store,
        ..
    } = &report.policy;
    let span = report
        .span
        .map_or(0, |(first, last)| last.since(first).get());
    add(
        out,
        format_args!(
            "{requests} requests in {}: {refused} refused ({}), {unmatched} without a rule\n",
            length(span / 1_000_000),
            percent(*refused, *requests)
        ),
    );
    let LogSummary {
        lines,
        malformed,
        without_descriptors,
        fields,
    } = read;
    if *malformed > 0 {
        add(
            out,
            format_args!("{malformed} of {lines} lines are malformed and were skipped\n"),
        );
    }
    if *without_descriptors > 0 {
        add(
            out,
            format_args!(
                "{without_descriptors} lines have none of the descriptors: no request was made\n"
            ),
        );
    }
    let without_value = NameList::new(fields.without_value());
    if !without_value.is_empty() {
        let present = NameList::new(&fields.names);
        add(
            out,
            format_args!(
                "no line has a value for {without_value}; the first line has the fields {present}\n"
            ),
        );
    }
    let with_port = NameList::new(fields.with_port());
    if !with_port.is_empty() {
        add(
            out,
            format_args!("ports were removed from the addresses in {with_port}\n"),
        );
    }
    if store.evicted > 0 {
        add(
            out,
            format_args!(
                "{} counters were evicted because memory was full: refusals may be missing; raise --memory\n",
                store.evicted
            ),
        );
    }
}

fn rules(rules: &[RuleTally]) -> TextTable {
    let mut table = TextTable::new([
        ("domain", Align::Left),
        ("rule", Align::Left),
        ("limits", Align::Left),
        ("where", Align::Left),
        ("requests", Align::Right),
        ("refused", Align::Right),
        ("%", Align::Right),
        ("shadow", Align::Right),
        ("peak", Align::Right),
    ]);
    for tally in rules.iter().take(ROWS) {
        let rule = &tally.rule;
        table.row([
            rule.domain.clone(),
            rule.name.clone(),
            rule.limits.clone(),
            rule.position.clone(),
            tally.requests.to_string(),
            tally.refused.to_string(),
            percent(tally.refused, tally.requests),
            tally.shadowed.to_string(),
            tally.peak.map_or_else(|| "-".to_owned(), peak),
        ]);
    }
    table
}

fn unmatched_table(unmatched: &[UnmatchedDescriptor]) -> TextTable {
    let mut table = TextTable::new([
        ("domain", Align::Left),
        ("keys without a rule", Align::Left),
        ("descriptors", Align::Right),
        ("line", Align::Right),
    ]);
    for one in unmatched.iter().take(ROWS) {
        let domain = match one.has_domain {
            true => one.domain.clone(),
            false => format!("{} (no policy has it)", one.domain),
        };
        table.row([
            domain,
            one.keys.clone(),
            at_most(one.descriptors, one.overcount),
            one.line.to_string(),
        ]);
    }
    table
}

/// A count, which may be too high if there is an `overcount`.
fn at_most(count: u64, overcount: u64) -> String {
    let sign = if overcount > 0 { "≤" } else { "" };
    format!("{sign}{count}")
}

fn refused_most(out: &mut String, tally: &RuleTally) {
    if tally.refused_most.is_empty() {
        return;
    }
    add(out, format_args!("\nmost refused by {}\n", tally.rule));
    let mut table = TextTable::new([
        ("  descriptor", Align::Left),
        ("refused", Align::Right),
        ("line", Align::Right),
    ]);
    for refused in &tally.refused_most {
        table.row([
            format!("  {}", refused.client),
            at_most(refused.refused, refused.overcount),
            refused.line.to_string(),
        ]);
    }
    out.push_str(&table.to_string());
}

fn changes(changes: &[Change]) -> TextTable {
    let mut table = TextTable::new([
        ("with", Align::Left),
        ("against", Align::Left),
        ("requests", Align::Right),
        ("refused", Align::Right),
        ("against", Align::Right),
        ("newly refused", Align::Right),
        ("newly passed", Align::Right),
    ]);
    let name = |rule: &Option<std::sync::Arc<RuleLabel>>| {
        let none = || "no rule".to_owned();
        rule.as_ref().map_or_else(none, |rule| rule.to_string())
    };
    for change in changes.iter().take(ROWS) {
        table.row([
            name(&change.rule),
            name(&change.against),
            change.requests.to_string(),
            change.refused.to_string(),
            change.refused_against.to_string(),
            change.newly_refused.to_string(),
            change.newly_passed.to_string(),
        ]);
    }
    table
}

fn more(out: &mut String, count: usize) {
    if count > ROWS {
        let left = count - ROWS;
        add(
            out,
            format_args!("and {left} more: --format json has all\n"),
        );
    }
}

pub(super) fn json(report: &ReplayReport, read: &LogSummary) -> String {
    let value = json!({
        "lines": read.lines,
        "malformed": read.malformed,
        "without_descriptors": read.without_descriptors,
        "fields_without_value": read.fields.without_value().collect::<Vec<_>>(),
        "fields_with_port": read.fields.with_port().collect::<Vec<_>>(),
        "first": report.span.map(|(first, _)| secs(first)),
        "last": report.span.map(|(_, last)| secs(last)),
        "policies": outcome(&report.policy),
        "against": report.against.as_ref().map(outcome),
        "changes": report.against.as_ref().map(|_| {
            report.changes.iter().map(change).collect::<Vec<_>>()
        }),
    });
    format!("{value:#}\n")
}

fn outcome(outcome: &PolicyOutcome) -> Value {
    json!({
        "requests": outcome.requests,
        "refused": outcome.refused,
        "unmatched": outcome.unmatched,
        "unmatched_descriptors": outcome.unmatched_descriptors.iter().map(|one| json!({
            "domain": one.domain,
            "has_domain": one.has_domain,
            "keys": one.keys,
            "descriptors": one.descriptors,
            "overcount": one.overcount,
            "line": one.line,
        })).collect::<Vec<_>>(),
        "counters_evicted": outcome.store.evicted,
        "rules": outcome.rules.iter().map(|tally| json!({
            "rule": rule(&tally.rule),
            "requests": tally.requests,
            "refused": tally.refused,
            "shadow": tally.shadowed,
            "peak": tally.peak.map(|peak| json!({"used": peak.used, "capacity": peak.capacity})),
            "refused_most": tally.refused_most.iter().map(|refused| json!({
                "descriptor": refused.client,
                "refused": refused.refused,
                "overcount": refused.overcount,
                "line": refused.line,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn change(change: &Change) -> Value {
    json!({
        "rule": change.rule.as_deref().map(rule),
        "against": change.against.as_deref().map(rule),
        "requests": change.requests,
        "refused": change.refused,
        "refused_against": change.refused_against,
        "newly_refused": change.newly_refused,
        "newly_passed": change.newly_passed,
    })
}

fn rule(rule: &RuleLabel) -> Value {
    json!({
        "domain": rule.domain,
        "name": rule.name,
        "path": rule.path,
        "limits": rule.limits,
        "position": rule.position,
    })
}

fn secs(at: Timestamp) -> f64 {
    at.micros() as f64 / 1e6
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1} %", part as f64 * 100.0 / whole as f64),
    }
}

fn peak(peak: Peak) -> String {
    let share = (peak.share() * 100.0).floor();
    format!("{}/{} ({share} %)", peak.used, peak.capacity)
}

/// `2 d 3 h`, `5 min`, `12 s`.
fn length(secs: u64) -> String {
    match secs {
        s if s < 60 => format!("{s} s"),
        s if s < 3_600 => format!("{} min {} s", s / 60, s % 60),
        s if s < 86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String is infallible.
    let _ = out.write_fmt(text);
}
