//! The compiler: from the raw form of a domain to its tree.
//!
//! It checks what one key alone cannot show, such as duplicates and nodes that can never match, and
//! reports every fault that it finds. It does no I/O and does not know YAML.

mod bucket;
mod calendar;
mod charge;
mod cidr;
mod compiler;
mod concurrency;
mod coverage;
mod effect;
mod level;
mod limit_names;
mod limits;
mod matcher;
mod own_limits;
mod penalty;
mod plans;
mod reach;
mod response;
mod root;
mod rule_limits;
mod standard;
mod summary;
mod tables;
mod unlikely;
mod unlimited;
mod window;
mod word;

use super::assignments::{Assigned, TableFiles};
use super::raw::ON_STORE_ERROR;
use super::tree::Domain;
use super::{DomainDefaults, MetricIds, OnStoreError};
use crate::document::{Field, PathElement, Report, Spanned, Text};
use crate::policy::PolicyCode;
use compiler::{Compiler, LevelContext};
pub(super) use own_limits::{OwnLimits, own_limits};
use plans::CompiledPlans;
pub(super) use plans::unknown as unknown_plan;
pub(crate) use root::DomainFile;
use root::RootSettings;
use summary::DomainSummary;

/// The longest name of a domain: it is in every counter's identity, in logs and in metrics.
const MAX_DOMAIN_BYTES: usize = 1024;

/// The default of `lease_entry`.
const LEASE_ENTRY: &str = "lease";

/// Compiles one domain; `None` if it has no name.
///
/// `tables` are those that have files. `report` must be of the files of these parts. Use the domain only if no error was
/// reported.
pub(crate) fn compile(
    mut parts: Vec<DomainFile>,
    tables: &TableFiles,
    defaults: &DomainDefaults,
    report: &mut Report,
) -> Option<Domain> {
    let mut summary = DomainSummary::gather(parts.iter().map(|part| &part.raw));
    for (file, part) in parts.iter().enumerate() {
        if part.raw.name.is_absent() {
            let help = "begin the file with `domain: name`";
            let message = "the file has no `domain`";
            report.in_file(file as u32, |report| {
                report.add_with_help(PolicyCode::MissingDomain, part.raw.position, message, help);
            });
        }
        if let Some(name) = part.raw.name.given() {
            report.in_file(file as u32, |report| {
                report.within(PathElement::Key("domain"), |report| {
                    check_name(name, report);
                });
            });
        }
    }
    if !summary.has_leases {
        warn_of_lease_entry(&parts, report);
    }
    warn_of_no_descriptors(&parts, report);
    let root = RootSettings::merge(&mut parts, defaults, report);
    summary.atomic = root.atomic;
    let lease_entry = root.lease_entry.as_deref().unwrap_or(LEASE_ENTRY);
    let lease_entry = summary.has_leases.then(|| lease_entry.as_bytes().into());
    let mut plans = Vec::new();
    for (file, part) in parts.iter_mut().enumerate() {
        let of_file = std::mem::take(&mut part.raw.plans);
        plans.extend(of_file.into_iter().map(|plan| (file as u32, plan)));
    }
    let plans = CompiledPlans::compile(plans, &summary, report);
    let mut compiler = Compiler::new(summary, plans, tables);
    let response = root
        .response
        .as_ref()
        .map(|(file, raw)| report.in_file(*file, |report| compiler.begin_response(raw, report)))
        .or_else(|| defaults.response.clone());
    let context = LevelContext {
        depth: 0,
        response: response.clone(),
        on_store_error: root.on_store_error,
        value_levels: 0,
        name: Vec::new(),
    };
    let groups = parts.into_iter().enumerate();
    let groups = groups.map(|(file, part)| (file as u32, part.raw.descriptors));
    let top = compiler.level(groups.collect(), &context, report);
    if let Some((file, _)) = root.response {
        report.in_file(file, |report| compiler.end_response(report));
    }
    if compiler.tables.is_empty() {
        compiler.plans.report_unused(report);
    }
    Some(Domain {
        name: (*root.name?).into(),
        shadow_mode: root.shadow_mode,
        quota_mode: root.quota_mode,
        metric_ids: MetricIds::default(),
        atomic: root.atomic,
        lease_entry,
        response,
        plans: compiler.plans.into_terms(),
        secrets: compiler.summary.secrets,
        tables: compiler.tables.into(),
        assigned_rules: compiler.assigned_rules.into(),
        assigned: Assigned::default(),
        index: 0,
        rules: compiler.rules,
        nodes: compiler.nodes,
        levels: compiler.levels,
        top,
    })
}

/// A domain without descriptors limits nothing.
fn warn_of_no_descriptors(parts: &[DomainFile], report: &mut Report) {
    if parts.iter().any(|part| !part.raw.descriptors.is_empty()) {
        return;
    }
    let name = parts.first().and_then(|part| part.raw.name.given());
    if let Some(name) = name {
        let message = "the domain has no descriptors, so nothing in it is limited";
        let help = "add `descriptors` with a `key` and a `rate_limit`";
        report.add_with_help(PolicyCode::NoLimit, name.position, message, help);
    }
}

fn check_name(name: &Spanned<Text>, report: &mut Report) {
    if name.value.len() > MAX_DOMAIN_BYTES {
        let message = format!("the name of a domain has at most {MAX_DOMAIN_BYTES} bytes");
        report.add(PolicyCode::DomainTooLong, name.position, message);
    }
    unlikely::check_text("the name of the domain", name, report);
}

fn warn_of_lease_entry(parts: &[DomainFile], report: &mut Report) {
    for (file, part) in parts.iter().enumerate() {
        if let Some(entry) = &part.raw.lease_entry {
            let message =
                "`lease_entry` has no effect in a domain without `algorithm: concurrency`";
            report.in_file(file as u32, |report| {
                report.within(PathElement::Key("lease_entry"), |report| {
                    report.add(PolicyCode::NoEffect, entry.position, message);
                });
            });
        }
    }
}

/// The value of `on_store_error`; `None` if it is absent or unknown.
pub(crate) fn on_store_error(field: &Field<Text>, report: &mut Report) -> Option<OnStoreError> {
    if field.is_absent() {
        return None;
    }
    let step = PathElement::Key("on_store_error");
    match report.within(step, |report| word::word(field, ON_STORE_ERROR, report))? {
        "allow" => Some(OnStoreError::Allow),
        "deny" => Some(OnStoreError::Deny),
        "error" => Some(OnStoreError::Error),
        _ => Some(OnStoreError::Local),
    }
}
