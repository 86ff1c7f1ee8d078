//! `unlimited`, and the keys that contradict it.

use super::{calendar, penalty};
use crate::document::Report;
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;
use crate::request::Unit;

/// Reports keys that contradict `unlimited`.
pub(super) fn check(raw: &RawLimit, is_list: bool, report: &mut Report) {
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
