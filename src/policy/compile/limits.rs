//! `rate_limit`: the limits of a rule.

use std::sync::Arc;

use super::summary::DomainSummary;
use super::word::word;
use super::{bucket, calendar, charge, concurrency, limit_names, penalty, unlimited, window};
use crate::document::{DocumentCode, Field, PathElement, Report};
use crate::limit::{CalendarRate, Limit, LimitKind, LimitSet, Rate};
use crate::policy::raw::{ALGORITHMS, RawLimit, RawRateLimit};
use crate::policy::{Limits, PolicyCode};

/// A compiled `rate_limit`.
pub(super) struct CompiledRateLimit {
    pub(super) limits: Limits,
    /// The names of limits of other rules that it replaces.
    pub(super) replaces: Box<[Arc<str>]>,
}

/// `None` if an error was reported.
pub(super) fn compile(
    raw: &RawRateLimit,
    summary: &DomainSummary,
    report: &mut Report,
) -> Option<CompiledRateLimit> {
    let mut replaces: Vec<Arc<str>> = Vec::new();
    let mut limits = Vec::new();
    for (at, limit) in raw.limits.iter().enumerate() {
        let names = limit.extras.replaces.iter();
        replaces.extend(names.map(|name| Arc::from(&*name.value)));
        let element = [PathElement::Index(at)];
        let path = if raw.is_list { &element[..] } else { &[] };
        limits.push(report.within_all(path, |report| {
            limit_names::check(limit, summary, report);
            if is_unlimited(limit) {
                unlimited::check(limit, raw.is_list, report);
                return None;
            }
            counted(limit, report)
        }));
    }
    if let [limit] = &raw.limits[..]
        && is_unlimited(limit)
    {
        let name = limit
            .extras
            .name
            .given()
            .map(|name| Arc::from(&*name.value));
        return Some(CompiledRateLimit {
            limits: Limits::Unlimited { name },
            replaces: replaces.into(),
        });
    }
    check_count(raw, report);
    let limits: Option<Box<[Limit]>> = limits.into_iter().collect();
    let charge = charge::compile(raw, limits.as_deref(), summary, report);
    let set = LimitSet {
        limits: limits.filter(|limits| !limits.is_empty())?,
        charge: charge?,
    };
    Some(CompiledRateLimit {
        limits: Limits::Counted(set),
        replaces: replaces.into(),
    })
}

fn is_unlimited(raw: &RawLimit) -> bool {
    raw.extras
        .unlimited
        .as_ref()
        .is_some_and(|unlimited| unlimited.value)
}

fn check_count(raw: &RawRateLimit, report: &mut Report) {
    if raw.limits.is_empty() {
        report.add(
            DocumentCode::EmptyList,
            raw.position,
            "the list of limits is empty",
        );
    }
    if raw.limits.len() > LimitSet::MAX {
        let message = format!("a rule has at most {} limits", LimitSet::MAX);
        report.add(PolicyCode::TooManyLimits, raw.position, message);
    }
}

/// A limit that counts; `None` if an error was reported.
fn counted(raw: &RawLimit, report: &mut Report) -> Option<Limit> {
    let algorithm = report.within(PathElement::Key("algorithm"), |report| {
        word(&raw.extras.algorithm, ALGORITHMS, report)
    });
    if algorithm == Some("concurrency") {
        return concurrency::compile(raw, report);
    }
    if !concurrency::is_absent(raw, report) {
        return None;
    }
    let unit = window::unit(raw, report);
    let has_calendar = calendar::check_place(raw, unit, algorithm, report);
    if raw.is_sound && raw.requests_per_unit.is_absent() {
        let message = "`requests_per_unit` is missing and defaults to 0: every hit is refused";
        let help = "write `requests_per_unit: 0` if this is intended";
        report.add_with_help(
            PolicyCode::MissingRequestsPerUnit,
            raw.position,
            message,
            help,
        );
    }
    let requests_per_unit = match &raw.requests_per_unit {
        Field::Given(number) => Some(number.value),
        Field::Absent => Some(0),
        Field::Invalid => None,
    };
    let multiplier = report.within(PathElement::Key("unit_multiplier"), |report| {
        window::multiplier(raw, report)
    });
    report.within(PathElement::Key("burst"), |report| {
        bucket::check_burst(raw, algorithm, report);
    });
    let penalty = report.within(PathElement::Key("block_seconds"), |report| {
        penalty::compile(raw, report)
    });
    let requests = requests_per_unit?;
    let (unit, multiplier) = (unit?, multiplier?);
    let window = window::compile(raw, unit, multiplier, report)?;
    let rate = Rate { requests, window };
    let kind = match algorithm? {
        _ if has_calendar? => {
            let calendar = calendar::compile(raw, unit, multiplier, report)?.into();
            LimitKind::Calendar(CalendarRate { requests, calendar })
        }
        "token_bucket" => LimitKind::TokenBucket(bucket::compile(raw, rate, report)?),
        "sliding_window" => LimitKind::SlidingWindow(rate),
        _ => LimitKind::FixedWindow(rate),
    };
    Some(Limit {
        kind,
        name: raw.extras.name.given().map(|name| Arc::from(&*name.value)),
        shadow_mode: raw.shadow_mode,
        penalty: penalty?,
    })
}
