//! `algorithm: concurrency`: slots instead of a rate.

use std::sync::Arc;

use super::{calendar, penalty};
use crate::document::{DocumentCode, Field, PathElement, Position, Report};
use crate::limit::{Limit, LimitKind, MAX_IN_FLIGHT, Window};
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;
use crate::request::Unit;

/// A concurrency limit; `None` if an error was reported.
pub(super) fn compile(raw: &RawLimit, report: &mut Report) -> Option<Limit> {
    reject_rate(raw, report);
    require(raw, report);
    let slots = report.within(PathElement::Key("max_in_flight"), |report| {
        slots(&raw.extras.max_in_flight, report)
    });
    let lease = report.within(PathElement::Key("lease_seconds"), |report| {
        lease(&raw.extras.lease_seconds, report)
    });
    Some(Limit {
        kind: LimitKind::Concurrency {
            max_in_flight: slots?,
            lease_secs: lease?.secs(),
        },
        name: raw.extras.name.given().map(|name| Arc::from(&*name.value)),
        shadow_mode: raw.shadow_mode,
        penalty: None,
    })
}

/// Whether a limit of another algorithm has no keys of slots; reports those it has.
pub(super) fn is_absent(raw: &RawLimit, report: &mut Report) -> bool {
    let slots = [
        ("max_in_flight", &raw.extras.max_in_flight),
        ("lease_seconds", &raw.extras.lease_seconds),
    ];
    for (key, number) in slots {
        if let Some(number) = number.given() {
            let message = format!("`{key}` belongs to `algorithm: concurrency`");
            report.within(PathElement::Key(key), |report| {
                report.add(
                    PolicyCode::SlotsWithoutConcurrency,
                    number.position,
                    message,
                );
            });
        }
    }
    slots.iter().all(|(_, number)| number.is_absent())
}

fn require(raw: &RawLimit, report: &mut Report) {
    let lease = "the time after which a slot that was not released is free again; longer than the route's \
                 timeout, which is 15 seconds in Envoy by default";
    let required = [
        (
            "max_in_flight",
            &raw.extras.max_in_flight,
            "the most requests in progress at once",
        ),
        ("lease_seconds", &raw.extras.lease_seconds, lease),
    ];
    for (key, number, help) in required {
        if number.is_absent() && raw.is_sound {
            let message = format!("`algorithm: concurrency` without `{key}`");
            report.add_with_help(PolicyCode::MissingSlots, raw.position, message, help);
        }
    }
}

fn slots(number: &Field<u32>, report: &mut Report) -> Option<u32> {
    let number = number.given()?;
    if number.value > MAX_IN_FLIGHT {
        let message = format!("`max_in_flight` is at most {MAX_IN_FLIGHT}");
        report.add(DocumentCode::InvalidNumber, number.position, message);
        return None;
    }
    if number.value == 0 {
        let message = "`max_in_flight: 0` refuses every request";
        report.add(PolicyCode::NoSlots, number.position, message);
    }
    Some(number.value)
}

fn lease(secs: &Field<u32>, report: &mut Report) -> Option<Window> {
    let secs = secs.given()?;
    let lease = Window::new(Unit::Second, secs.value);
    if lease.is_none() {
        let message = "a lease must last at least a second and at most ten years";
        report.add(DocumentCode::InvalidNumber, secs.position, message);
    }
    lease
}

/// Reports keys of a rate: slots are held while a request is in progress.
fn reject_rate(raw: &RawLimit, report: &mut Report) {
    let of_rates = [
        ("unit", raw.unit.given().map(|unit| unit.position)),
        ("requests_per_unit", position(&raw.requests_per_unit)),
        ("unit_multiplier", position(&raw.extras.unit_multiplier)),
        ("burst", position(&raw.extras.burst)),
    ];
    let of_rates = of_rates.into_iter().chain(calendar::positions(raw));
    for (key, position) in of_rates.chain([penalty::position(raw)]) {
        if let Some(position) = position {
            let message = format!("`{key}` has no meaning with `algorithm: concurrency`");
            let help = "use `max_in_flight`; write a rate as another limit of a list";
            report.within(PathElement::Key(key), |report| {
                report.add_with_help(PolicyCode::RateWithConcurrency, position, message, help);
            });
        }
    }
    if let Some(charge) = raw
        .extras
        .charge
        .given()
        .filter(|charge| &*charge.value == "always")
    {
        let message = "`charge: always` has no meaning for slots: a refused request holds none";
        report.within(PathElement::Key("charge"), |report| {
            report.add_with_help(
                PolicyCode::RateWithConcurrency,
                charge.position,
                message,
                "leave it out",
            );
        });
    }
}

fn position(number: &Field<u32>) -> Option<Option<Position>> {
    number.given().map(|number| number.position)
}
