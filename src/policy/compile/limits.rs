//! `rate_limit`: the limits of a rule.

use std::sync::Arc;

use super::summary::DomainSummary;
use super::word::word;
use super::{calendar, concurrency, penalty};
use crate::document::{
    DiagnosticCode, DocumentCode, Field, PathElement, Report, did_you_mean, quoted,
};
use crate::limit::{
    CalendarRate, Charge, InvalidBucket, Limit, LimitKind, LimitSet, Rate, TokenBucket, Window,
};
use crate::policy::raw::{ALGORITHMS, CHARGES, RawLimit, RawRateLimit};
use crate::policy::{Limits, PolicyCode};
use crate::request::Unit;

/// A compiled `rate_limit`.
pub(super) struct CompiledRateLimit {
    pub(super) limits: Limits,
    /// The names of limits of other rules that it displaces.
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
            check_names(limit, summary, report);
            if is_unlimited(limit) {
                check_unlimited(limit, raw.is_list, report);
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
    let charge = charge(raw, limits.as_deref(), summary, report);
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

fn check_names(raw: &RawLimit, summary: &DomainSummary, report: &mut Report) {
    let own = raw.extras.name.given();
    if let Some(name) = own {
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !name.value.chars().all(is_usual) {
            let message =
                "the name is not safe in headers, and Envoy copies it into them unchanged";
            let help = "use only letters, digits, `_`, `.` and `-`";
            report.add_with_help(PolicyCode::UnsafeLimitName, name.position, message, help);
        }
    }
    for replaced in &raw.extras.replaces {
        let quoted = quoted(&replaced.value);
        if replaced.value.is_empty() {
            let message = "`replaces` without the name of a limit";
            report.add(PolicyCode::ReplacesWithoutName, replaced.position, message);
        } else if own.is_some_and(|own| own.value == replaced.value) {
            let message = format!("the limit {quoted} replaces itself");
            report.add(PolicyCode::ReplacesItself, replaced.position, message);
        } else if !summary.names.contains(&replaced.value) {
            let message = format!("no limit of this domain is named {quoted}");
            match summary.nearest_name(&replaced.value) {
                Some(help) => report.add_with_help(
                    PolicyCode::UnknownReplacesTarget,
                    replaced.position,
                    message,
                    help,
                ),
                None => report.add(
                    PolicyCode::UnknownReplacesTarget,
                    replaced.position,
                    message,
                ),
            }
        }
    }
}

/// Reports keys that contradict `unlimited`.
fn check_unlimited(raw: &RawLimit, is_list: bool, report: &mut Report) {
    let position = raw
        .extras
        .unlimited
        .as_ref()
        .and_then(|unlimited| unlimited.position);
    if is_list {
        let message = "`unlimited` in a list of limits";
        let help = "remove the list: a rule without limits is `unlimited: true`";
        report.add_with_help(PolicyCode::UnlimitedInList, position, message, help);
    }
    let unit = raw.unit.given();
    if let Some(unit) = unit.filter(|unit| Unit::from_name(&unit.value).is_some()) {
        let message = "`unlimited` together with `unit`";
        report.add_with_help(
            PolicyCode::UnlimitedWithUnit,
            unit.position,
            message,
            "remove one of them",
        );
    }
    let others = [
        (
            "unit",
            unit.filter(|unit| Unit::from_name(&unit.value).is_none())
                .map(|f| f.position),
        ),
        (
            "requests_per_unit",
            raw.requests_per_unit.given().map(|f| f.position),
        ),
        (
            "unit_multiplier",
            raw.extras.unit_multiplier.given().map(|f| f.position),
        ),
        (
            "algorithm",
            raw.extras.algorithm.given().map(|f| f.position),
        ),
        ("burst", raw.extras.burst.given().map(|f| f.position)),
        ("charge", raw.extras.charge.given().map(|f| f.position)),
        (
            "max_in_flight",
            raw.extras.max_in_flight.given().map(|f| f.position),
        ),
        (
            "lease_seconds",
            raw.extras.lease_seconds.given().map(|f| f.position),
        ),
    ];
    let others = others.into_iter().chain(calendar::positions(raw));
    let others = others.chain([penalty::position(raw)]);
    for (key, position) in others {
        if let Some(position) = position {
            let message = format!("`{key}` has no effect next to `unlimited`");
            report.add(PolicyCode::NoEffect, position, message);
        }
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
    let unit = unit(raw, report);
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
        multiplier(raw, report)
    });
    report.within(PathElement::Key("burst"), |report| {
        check_burst(raw, algorithm, report);
    });
    let penalty = report.within(PathElement::Key("block_seconds"), |report| {
        penalty::compile(raw, report)
    });
    let requests = requests_per_unit?;
    let (unit, multiplier) = (unit?, multiplier?);
    let window = window(raw, unit, multiplier, report)?;
    let rate = Rate { requests, window };
    let kind = match algorithm? {
        _ if has_calendar? => {
            let calendar = calendar::compile(raw, unit, multiplier, report)?.into();
            LimitKind::Calendar(CalendarRate { requests, calendar })
        }
        "token_bucket" => LimitKind::TokenBucket(bucket(raw, rate, report)?),
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

fn check_burst(raw: &RawLimit, algorithm: Option<&str>, report: &mut Report) {
    let Some(burst) = raw.extras.burst.given() else {
        return;
    };
    if burst.value == 0 {
        let message = "`burst` must be at least 1";
        report.add(DocumentCode::InvalidNumber, burst.position, message);
    }
    if algorithm.is_some_and(|algorithm| algorithm != "token_bucket") {
        let message = "`burst` belongs to `algorithm: token_bucket`";
        report.add(PolicyCode::BurstWithoutBucket, burst.position, message);
    }
}

fn bucket(raw: &RawLimit, rate: Rate, report: &mut Report) -> Option<TokenBucket> {
    let burst = raw.extras.burst.given();
    let size = burst.map_or(rate.requests, |burst| burst.value);
    let (key, number, code, message) = match TokenBucket::new(size, rate) {
        Ok(bucket) => return Some(bucket),
        Err(InvalidBucket::TooFast) => (
            "requests_per_unit",
            raw.requests_per_unit.given(),
            DiagnosticCode::from(PolicyCode::RateTooHigh),
            "the refill rate of a bucket is at most 1000000 hits per second",
        ),
        Err(InvalidBucket::TooSlow) => (
            "burst",
            burst,
            DocumentCode::InvalidNumber.into(),
            "filling this bucket would take more than 142 years",
        ),
    };
    let position = number.and_then(|number| number.position);
    report.within(PathElement::Key(key), |report| {
        report.add(code, position, message);
    });
    None
}

fn unit(raw: &RawLimit, report: &mut Report) -> Option<Unit> {
    let names = Unit::ALL.map(Unit::name);
    let Some(written) = raw.unit.given() else {
        if raw.is_sound && raw.unit.is_absent() {
            let help = format!("use one of {}", names.join(", "));
            report.add_with_help(
                PolicyCode::MissingUnit,
                raw.position,
                "a limit without `unit`",
                help,
            );
        }
        return None;
    };
    let unit = Unit::from_name(&written.value);
    if unit.is_none() {
        let message = format!("unknown unit {}", quoted(&written.value));
        let near = did_you_mean(&written.value.to_ascii_lowercase(), names);
        let help = near.unwrap_or_else(|| format!("use one of {}", names.join(", ")));
        report.within(PathElement::Key("unit"), |report| {
            report.add_with_help(PolicyCode::UnknownUnit, written.position, message, help);
        });
    }
    unit
}

fn multiplier(raw: &RawLimit, report: &mut Report) -> Option<u32> {
    match &raw.extras.unit_multiplier {
        Field::Absent => Some(1),
        Field::Invalid => None,
        Field::Given(number) if number.value == 0 => {
            report.add(
                DocumentCode::InvalidNumber,
                number.position,
                "`unit_multiplier` must be at least 1",
            );
            None
        }
        Field::Given(number) => Some(number.value),
    }
}

fn window(raw: &RawLimit, unit: Unit, multiplier: u32, report: &mut Report) -> Option<Window> {
    let window = Window::new(unit, multiplier);
    if window.is_none() {
        let position = raw
            .extras
            .unit_multiplier
            .given()
            .and_then(|number| number.position);
        report.add(
            PolicyCode::InvalidWindow,
            position,
            "a window cannot exceed ten years",
        );
    }
    window
}

/// The charge of all limits of a rule; `None` if an error was reported.
fn charge(
    raw: &RawRateLimit,
    limits: Option<&[Limit]>,
    summary: &DomainSummary,
    report: &mut Report,
) -> Option<Charge> {
    let is_lone_window = match limits {
        Some([limit]) => matches!(
            limit.kind,
            LimitKind::FixedWindow(_) | LimitKind::Calendar(_)
        ),
        _ => false,
    };
    let default = match is_lone_window && !summary.atomic {
        true => "always",
        false => "allowed",
    };
    let mut first = None;
    let mut is_mixed = false;
    for limit in &*raw.limits {
        let charge = match &limit.extras.charge {
            Field::Absent => default,
            written => report.within(PathElement::Key("charge"), |report| {
                word(written, CHARGES, report)
            })?,
        };
        if charge == "allowed" && !is_lone_window {
            warn_of_refunds(limit, summary, report);
        }
        if *first.get_or_insert(charge) != charge && !is_mixed {
            is_mixed = true;
            let position = limit
                .extras
                .charge
                .given()
                .map_or(limit.position, |charge| charge.position);
            let message = "the limits of one rule have different `charge`";
            let help = "write the same `charge` in each; the default in a list is `allowed`";
            report.add_with_help(PolicyCode::MixedCharge, position, message, help);
        }
    }
    match first? {
        "always" => Some(Charge::Always),
        _ => Some(Charge::Allowed),
    }
}

/// Only warns if `charge: allowed` is written explicitly, in a domain where refunds are likely.
fn warn_of_refunds(raw: &RawLimit, summary: &DomainSummary, report: &mut Report) {
    let Some(charge) = raw.extras.charge.given() else {
        return;
    };
    if summary.has_leases || summary.charges_always {
        let message = "a refund for a refused request would return hits that were never charged";
        let help = "settle with `charge: always`, or with a lease (docs/policy/costs.md, \"Reserve and settle\"); \
                    remove `charge` if there are no refunds";
        report.within(PathElement::Key("charge"), |report| {
            report.add_with_help(
                PolicyCode::RefundExceedsCharge,
                charge.position,
                message,
                help,
            );
        });
    }
}
