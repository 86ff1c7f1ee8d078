//! `algorithm: concurrency`: slots in place of a rate.

use std::sync::Arc;

use crate::limit::{Limit, LimitKind, MAX_IN_FLIGHT, Window};
use crate::policy::report::{Report, Step};
use crate::policy::schema::{Field, RawLimit};
use crate::policy::{Code, Place};
use crate::request::Unit;

/// A limit of slots; none if there is a fault.
pub(super) fn compile(raw: &RawLimit, report: &mut Report) -> Option<Limit> {
    refuse_rate(raw, report);
    require(raw, report);
    let slots = report.within(Step::Key("max_in_flight"), |report| {
        slots(&raw.more.max_in_flight, report)
    });
    let lease = report.within(Step::Key("lease_seconds"), |report| {
        lease(&raw.more.lease_seconds, report)
    });
    Some(Limit {
        kind: LimitKind::Concurrency {
            max_in_flight: slots?,
            lease_secs: lease?.secs(),
        },
        name: raw.more.name.given().map(|name| Arc::from(&*name.value)),
        shadow_mode: raw.shadow_mode,
    })
}

/// Whether nothing of slots stands on a limit of another algorithm; what does is refused.
pub(super) fn is_absent(raw: &RawLimit, report: &mut Report) -> bool {
    let slots = [
        ("max_in_flight", &raw.more.max_in_flight),
        ("lease_seconds", &raw.more.lease_seconds),
    ];
    for (key, number) in slots {
        if let Some(number) = number.given() {
            let message = format!("`{key}` belongs to `algorithm: concurrency`");
            report.within(Step::Key(key), |report| {
                report.say(Code::SlotsWithoutConcurrency, number.place, message);
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
            &raw.more.max_in_flight,
            "how many may be at work at once?",
        ),
        ("lease_seconds", &raw.more.lease_seconds, lease),
    ];
    for (key, number, hint) in required {
        if number.is_absent() && raw.is_sound {
            let message = format!("`algorithm: concurrency` without `{key}`");
            report.hint(Code::MissingSlots, raw.place, (message, hint));
        }
    }
}

fn slots(number: &Field<u32>, report: &mut Report) -> Option<u32> {
    let number = number.given()?;
    if number.value > MAX_IN_FLIGHT {
        let message = format!("`max_in_flight` is at most {MAX_IN_FLIGHT}");
        report.say(Code::InvalidNumber, number.place, message);
        return None;
    }
    Some(number.value)
}

fn lease(secs: &Field<u32>, report: &mut Report) -> Option<Window> {
    let secs = secs.given()?;
    let lease = Window::new(Unit::Second, secs.value);
    if lease.is_none() {
        let message = "a lease lasts at least a second and at most ten years";
        report.say(Code::InvalidNumber, secs.place, message);
    }
    lease
}

/// Slots are held for as long as the work takes: there is no rate.
fn refuse_rate(raw: &RawLimit, report: &mut Report) {
    let of_rates = [
        ("unit", raw.unit.given().map(|unit| unit.place)),
        ("requests_per_unit", place(&raw.requests_per_unit)),
        ("unit_multiplier", place(&raw.more.unit_multiplier)),
        ("burst", place(&raw.more.burst)),
    ];
    for (key, place) in of_rates {
        if let Some(place) = place {
            let message = format!("`{key}` has no meaning with `algorithm: concurrency`");
            let hint = "how many at once is `max_in_flight`; a rate is another limit of a list";
            report.within(Step::Key(key), |report| {
                report.hint(Code::RateWithConcurrency, place, (message, hint));
            });
        }
    }
    if let Some(charge) = raw
        .more
        .charge
        .given()
        .filter(|charge| &*charge.value == "always")
    {
        let message = "`charge: always` on slots: who is refused holds none";
        report.within(Step::Key("charge"), |report| {
            report.hint(
                Code::RateWithConcurrency,
                charge.place,
                (message, "leave it out"),
            );
        });
    }
}

fn place(number: &Field<u32>) -> Option<Option<Place>> {
    number.given().map(|number| number.place)
}
