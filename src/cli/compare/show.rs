//! The report of a comparison, as text and as JSON.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::requests::SourceSummary;
use super::tally::ComparisonTally;
use crate::cli::output::escape;
use crate::cli::table::{Align, TextTable};

/// The most groups of differences in a text; JSON has all.
const ROWS: usize = 50;

pub(super) fn text(
    comparison: &ComparisonTally,
    summary: &SourceSummary,
    servers: &[String; 2],
) -> String {
    let [server, against] = servers;
    let mut out = format!(
        "{} requests answered by {server} (server) and {against} (against)\n\n",
        comparison.compared()
    );
    add(&mut out, format_args!("{}", counts(comparison)));
    for (server, failed) in servers.iter().zip(&comparison.failed) {
        if failed.calls > 0 {
            let (calls, error) = (failed.calls, escape(&failed.first_error));
            add(
                &mut out,
                format_args!("\ncalls to {server} that failed: {calls}; the first: {error}\n"),
            );
        }
    }
    if !comparison.groups.is_empty() {
        add(
            &mut out,
            format_args!("\n{}", differences(comparison, summary)),
        );
    }
    let more = comparison.groups.len().saturating_sub(ROWS) as u64 + comparison.ungrouped;
    if more > 0 {
        add(&mut out, format_args!("and {more} more\n"));
    }
    notes(&mut out, comparison, summary);
    out
}

fn counts(comparison: &ComparisonTally) -> TextTable {
    let mut table = TextTable::new([("answers", Align::Left), ("requests", Align::Right)]);
    for (name, requests) in [
        ("the same", comparison.same),
        ("other details", comparison.details_differ),
        ("other decisions", comparison.decisions_differ),
        ("of different windows", comparison.shifted),
        ("not answered", comparison.unanswered),
    ] {
        table.row([name.to_owned(), requests.to_string()]);
    }
    table
}

fn differences(comparison: &ComparisonTally, summary: &SourceSummary) -> TextTable {
    let mut table = TextTable::new([
        ("differs", Align::Left),
        ("domain", Align::Left),
        ("descriptor", Align::Left),
        ("server", Align::Left),
        ("against", Align::Left),
        ("requests", Align::Right),
        ("first", Align::Left),
    ]);
    for (group, tally) in comparison.groups.iter().take(ROWS) {
        let [server, against] = &group.says;
        table.row([
            group.aspect.name().to_owned(),
            group.domain.clone(),
            group.keys.clone(),
            server.clone(),
            against.clone(),
            tally.requests.to_string(),
            format!(
                "{} {}",
                if summary.is_log { "line" } else { "request" },
                tally.first
            ),
        ]);
    }
    table
}

fn notes(out: &mut String, comparison: &ComparisonTally, summary: &SourceSummary) {
    let SourceSummary {
        malformed,
        without_descriptors,
        hidden_rules,
        unreached_rules,
        ..
    } = *summary;
    if comparison.shifted > 0 {
        out.push_str("\na hit at the end of a window counted in different windows: no fault of either server\n");
    }
    if malformed > 0 {
        add(
            out,
            format_args!("\nmalformed lines, which were skipped: {malformed}\n"),
        );
    }
    if without_descriptors > 0 {
        add(
            out,
            format_args!(
                "\nlines for which Envoy would have sent no request: {without_descriptors}\n"
            ),
        );
    }
    if unreached_rules > 0 {
        add(
            out,
            format_args!(
                "\nrules left out, since no request could be made that reaches them: {unreached_rules}; a log may have some\n"
            ),
        );
    }
    if hidden_rules > 0 {
        add(
            out,
            format_args!(
                "\nrules left out, since their values are secret: {hidden_rules}; a log has requests for them\n"
            ),
        );
    }
}

pub(super) fn json(
    comparison: &ComparisonTally,
    summary: &SourceSummary,
    servers: &[String; 2],
) -> String {
    let failed = servers.iter().zip(&comparison.failed);
    let failed: Vec<Value> = failed
        .map(|(server, failed)| {
            json!({
                "server": server,
                "calls": failed.calls,
                "first_error": Some(&failed.first_error).filter(|error| !error.is_empty()),
            })
        })
        .collect();
    let groups = comparison.groups.iter().map(|(group, tally)| {
        let [server, against] = &group.says;
        json!({
            "differs": group.aspect.name(),
            "is_decision": group.aspect.is_decision(),
            "domain": group.domain,
            "descriptor": group.keys,
            "server": server,
            "against": against,
            "requests": tally.requests,
            "first": tally.first,
        })
    });
    let value = json!({
        "server": servers[0],
        "against": servers[1],
        "requests": comparison.compared(),
        "same": comparison.same,
        "details_differ": comparison.details_differ,
        "decisions_differ": comparison.decisions_differ,
        "different_windows": comparison.shifted,
        "failed": failed,
        "differences": groups.collect::<Vec<_>>(),
        "differences_not_listed": comparison.ungrouped,
        "malformed_lines": summary.malformed,
        "lines_without_descriptors": summary.without_descriptors,
        "hidden_rules": summary.hidden_rules,
        "unreached_rules": summary.unreached_rules,
        "limited": comparison.limited,
    });
    format!("{value:#}\n")
}

fn add(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String is infallible.
    let _ = out.write_fmt(text);
}
