//! `algorithm: concurrency`: slots instead of a rate.

use std::sync::Arc;

use crate::document::{DocumentCode, Field, PathElement, Position, Report};
use crate::limit::{Limit, LimitKind, MAX_IN_FLIGHT, Window};
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;
use crate::request::Unit;

/// A limit of slots; none if there is a fault.
pub(super) fn compile(raw: &RawLimit, report: &mut Report) -> Option<Limit> {
    refuse_rate(raw, report);
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
    })
}

/// Whether nothing of slots stands on a limit of another algorithm; what does is refused.
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
    let lease = "after how long is a slot free again that nobody gave back? Longer than the route's \
                 timeout, which in Envoy is 15 seconds if nothing else is said";
    let required = [
        (
            "max_in_flight",
            &raw.extras.max_in_flight,
            "how many may be at work at once?",
        ),
        ("lease_seconds", &raw.extras.lease_seconds, lease),
    ];
    for (key, number, hint) in required {
        if number.is_absent() && raw.is_sound {
            let message = format!("`algorithm: concurrency` without `{key}`");
            report.add_with_hint(PolicyCode::MissingSlots, raw.position, message, hint);
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
    Some(number.value)
}

fn lease(secs: &Field<u32>, report: &mut Report) -> Option<Window> {
    let secs = secs.given()?;
    let lease = Window::new(Unit::Second, secs.value);
    if lease.is_none() {
        let message = "a lease lasts at least a second and at most ten years";
        report.add(DocumentCode::InvalidNumber, secs.position, message);
    }
    lease
}

/// Slots are held for as long as the work takes: there is no rate.
fn refuse_rate(raw: &RawLimit, report: &mut Report) {
    let of_rates = [
        ("unit", raw.unit.given().map(|unit| unit.position)),
        ("requests_per_unit", position(&raw.requests_per_unit)),
        ("unit_multiplier", position(&raw.extras.unit_multiplier)),
        ("burst", position(&raw.extras.burst)),
    ];
    for (key, position) in of_rates {
        if let Some(position) = position {
            let message = format!("`{key}` has no meaning with `algorithm: concurrency`");
            let hint = "how many at once is `max_in_flight`; a rate is another limit of a list";
            report.within(PathElement::Key(key), |report| {
                report.add_with_hint(PolicyCode::RateWithConcurrency, position, message, hint);
            });
        }
    }
    if let Some(charge) = raw
        .extras
        .charge
        .given()
        .filter(|charge| &*charge.value == "always")
    {
        let message = "`charge: always` on slots: who is refused holds none";
        report.within(PathElement::Key("charge"), |report| {
            report.add_with_hint(
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
