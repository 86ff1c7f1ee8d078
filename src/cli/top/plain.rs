//! `weir top --once`: the same as text.

use indicatif::HumanBytes;

use super::rank::{self, TopOrder, TopRow};
use crate::api::{DomainOverview, Overview, StoreStatus, Top};
use crate::cli::output::{count_u64, escape};
use crate::cli::table::{Align, TextTable};
use crate::telemetry::HistoryStep;

pub(super) fn text(overview: &Overview, top: &Top, domain: Option<&str>, count: usize) -> String {
    let ranked = |rows| {
        let rows = rank::ranked(rows, TopOrder::Refused, "");
        rows.into_iter().take(count).collect::<Vec<_>>()
    };
    let clients = ranked(rank::clients(top, domain));
    let rules = ranked(rank::rules(overview, domain));
    let (summary, store) = (summary(overview), store(&overview.status.store));
    let rates = rates(rank::domains(overview, domain), overview.step_secs);
    let (clients, rules) = (
        table(&clients, ["client", "rule"]),
        table(&rules, ["rule", "limits"]),
    );
    format!("{summary}\n{store}\n\n{rates}\n{clients}\n{rules}")
}

/// One line about the server.
pub(super) fn summary(overview: &Overview) -> String {
    let status = &overview.status;
    let (version, stage) = (escape(&overview.version), status.stage.as_str());
    let (generation, rules) = (status.generation, overview.rules);
    let rules = count_u64(rules as u64, "rule");
    format!("weir {version}, {stage}, policy {generation}, {rules}")
}

/// One line about its store.
pub(super) fn store(store: &StoreStatus) -> String {
    let (counters, bytes) = (
        count_u64(store.counters, "counter"),
        HumanBytes(store.bytes),
    );
    let mut text = format!("{counters} in memory, {bytes}");
    if store.evicted_over_limit > 0 {
        text.push_str(&format!(
            ", {} evicted over their limit",
            store.evicted_over_limit
        ));
    }
    match store.redis.as_ref().map(|redis| &redis.unavailable_reason) {
        Some(Some(reason)) => format!("Redis is unavailable: {}; {text}", escape(reason)),
        Some(None) => format!("Redis is available; {text}"),
        None => text,
    }
}

/// Requests per second of each domain, in the last step.
fn rates<'d>(domains: impl Iterator<Item = &'d DomainOverview>, step_secs: f64) -> String {
    let mut table = TextTable::new([
        ("domain", Align::Left),
        ("ok/s", Align::Right),
        ("refused/s", Align::Right),
        ("shadow/s", Align::Right),
    ]);
    for domain in domains {
        let last = domain.steps.last().copied().unwrap_or_default();
        let rates = per_second(last, step_secs).map(|rate| format!("{rate:.1}"));
        let [ok, refused, shadow] = rates;
        table.row([domain.name.clone(), ok, refused, shadow]);
    }
    table.to_string()
}

/// Allowed, refused, and allowed by shadow mode.
pub(super) fn per_second(step: HistoryStep, step_secs: f64) -> [f64; 3] {
    [step.ok, step.over, step.shadow].map(|count| f64::from(count) / step_secs)
}

fn table(rows: &[TopRow], [name, detail]: [&'static str; 2]) -> String {
    let mut table = TextTable::new([
        ("refused", Align::Right),
        ("hits", Align::Right),
        ("slots", Align::Right),
        ("domain", Align::Left),
        (name, Align::Left),
        (detail, Align::Left),
    ]);
    for row in rows {
        table.row([
            row.refused_text(),
            row.hits_text(),
            row.slots
                .map_or_else(String::new, |slots| slots.to_string()),
            row.domain.clone(),
            row.name.clone(),
            row.detail.clone(),
        ]);
    }
    table.to_string()
}
