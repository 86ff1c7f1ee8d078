//! Limits of a list that are never reached, because another one of the list always refuses before.

use crate::document::{PathElement, Report};
use crate::limit::{Charge, Limit, LimitKind, LimitSet, Rate};
use crate::policy::PolicyCode;
use crate::policy::raw::RawRateLimit;

/// Warns of such limits. `may_be_replaced` says whether other rules of the domain can replace a limit of that name.
pub(super) fn check(
    set: &LimitSet,
    raw: &RawRateLimit,
    may_be_replaced: impl Fn(&str) -> bool,
    report: &mut Report,
) {
    let is_certain = |limit: &Limit| {
        let name = limit.name.as_deref();
        !limit.shadow_mode && !name.is_some_and(&may_be_replaced)
    };
    for (at, limit) in set.limits.iter().enumerate() {
        let precedes = |(other_at, other): &(usize, &Limit)| {
            *other_at != at
                && is_certain(other)
                && covers(other, limit, set.charge)
                // Of two equal limits only the second is superfluous.
                && (*other_at < at || !covers(limit, other, set.charge))
        };
        let Some((_, other)) = set.limits.iter().enumerate().find(precedes) else {
            continue;
        };
        // A limit in shadow mode is there to be compared, and one with a penalty refuses for longer.
        if limit.shadow_mode || limit.penalty.is_some() {
            continue;
        }
        let position = raw.limits.get(at).and_then(|raw| raw.position);
        let message =
            format!("this limit is never reached: `{other}` of the same list refuses first");
        report.within(PathElement::Index(at), |report| {
            report.add(PolicyCode::UnreachableLimit, position, message);
        });
    }
}

/// Whether `limit` cannot refuse anything that `other` does not refuse.
fn covers(other: &Limit, limit: &Limit, charge: Charge) -> bool {
    // Windows of a calendar have no fixed length to compare.
    if let (LimitKind::Calendar(other), LimitKind::Calendar(rate)) = (&other.kind, &limit.kind) {
        return other.calendar == rate.calendar && other.requests <= rate.requests;
    }
    // Hits that were refused are charged to both, so only equal counts compare.
    if charge == Charge::Always {
        return match (&other.kind, &limit.kind) {
            (LimitKind::FixedWindow(other), LimitKind::FixedWindow(rate)) => {
                secs(*other).is_multiple_of(secs(*rate)) && other.requests <= rate.requests
            }
            _ => false,
        };
    }
    match limit.kind {
        LimitKind::FixedWindow(rate) => {
            most_in_fixed(other, secs(rate)).is_some_and(|most| most <= rate.requests.into())
        }
        LimitKind::SlidingWindow(rate) => {
            most_in_sliding(other, secs(rate)).is_some_and(|most| most <= rate.requests.into())
        }
        LimitKind::TokenBucket(bucket) => {
            let (rate, burst) = (bucket.rate(), u64::from(bucket.burst()));
            let (other, at_once) = match other.kind {
                // The end of one window and the start of the next.
                LimitKind::FixedWindow(other) => (other, 2 * u64::from(other.requests)),
                LimitKind::SlidingWindow(other) => (other, other.requests.into()),
                LimitKind::TokenBucket(other) => (other.rate(), other.burst().into()),
                LimitKind::Calendar(_) | LimitKind::Concurrency { .. } => return false,
            };
            let is_slower =
                product(other.requests, secs(rate)) <= product(rate.requests, secs(other));
            at_once <= burst && is_slower
        }
        LimitKind::Calendar(_) | LimitKind::Concurrency { .. } => false,
    }
}

/// The most hits that `limit` admits in one fixed window of that length; `None` if they are unbounded.
fn most_in_fixed(limit: &Limit, length: u64) -> Option<u64> {
    match limit.kind {
        LimitKind::FixedWindow(rate) if secs(rate).is_multiple_of(length) => {
            Some(rate.requests.into())
        }
        LimitKind::FixedWindow(rate) if length.is_multiple_of(secs(rate)) => {
            Some(product(rate.requests, length / secs(rate)))
        }
        _ => most_in_span(limit, length),
    }
}

/// The same for a sliding window.
fn most_in_sliding(limit: &Limit, length: u64) -> Option<u64> {
    match limit.kind {
        LimitKind::SlidingWindow(rate) if secs(rate) == length => Some(rate.requests.into()),
        // It counts whole segments, of which one more than sixteen can be a part of it.
        _ => most_in_span(limit, length + length.div_ceil(16)),
    }
}

/// The most hits that `limit` admits in any span of that length.
fn most_in_span(limit: &Limit, length: u64) -> Option<u64> {
    match limit.kind {
        LimitKind::FixedWindow(rate) => Some(product(rate.requests, length / secs(rate) + 2)),
        LimitKind::SlidingWindow(rate) => Some(product(rate.requests, length.div_ceil(secs(rate)))),
        LimitKind::TokenBucket(bucket) => {
            let refilled = product(bucket.rate().requests, length).div_ceil(secs(bucket.rate()));
            Some(u64::from(bucket.burst()) + refilled)
        }
        LimitKind::Calendar(_) | LimitKind::Concurrency { .. } => None,
    }
}

fn secs(rate: Rate) -> u64 {
    rate.window.secs().into()
}

/// At most 2³² times the seconds of ten years.
fn product(requests: u32, factor: u64) -> u64 {
    u64::from(requests).saturating_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::TokenBucket;

    fn fixed(text: &str) -> Limit {
        Limit::new(LimitKind::FixedWindow(Rate::parse(text).unwrap()))
    }

    fn sliding(text: &str) -> Limit {
        Limit::new(LimitKind::SlidingWindow(Rate::parse(text).unwrap()))
    }

    fn bucket(text: &str, burst: u32) -> Limit {
        let bucket = TokenBucket::new(burst, Rate::parse(text).unwrap());
        Limit::new(LimitKind::TokenBucket(bucket.unwrap()))
    }

    #[test]
    fn a_limit_that_another_one_covers_is_found() {
        for (other, limit) in [
            (fixed("300 per day"), fixed("500 per minute")),
            (fixed("300 per day"), fixed("300 per minute")),
            (fixed("10 per minute"), fixed("14400 per day")),
            (fixed("10 per 7 minutes"), fixed("40 per 10 minutes")),
            (sliding("300 per day"), sliding("600 per hour")),
            (sliding("300 per day"), fixed("300 per day")),
            (sliding("10 per minute"), sliding("170 per 16 minutes")),
            (bucket("1 per minute", 5), fixed("65 per hour")),
            (bucket("1 per minute", 5), bucket("1 per second", 5)),
            (fixed("5 per minute"), bucket("5 per minute", 10)),
            (fixed("0 per day"), fixed("1 per second")),
        ] {
            assert!(covers(&other, &limit, Charge::Allowed), "{other}, {limit}");
        }
    }

    #[test]
    fn a_limit_that_refuses_by_itself_is_not() {
        for (other, limit) in [
            (fixed("300 per day"), fixed("299 per minute")),
            (fixed("10 per minute"), fixed("14399 per day")),
            // The minutes at the end of one window and at the start of the next.
            (fixed("300 per 10 minutes"), fixed("500 per 7 minutes")),
            (fixed("300 per hour"), sliding("500 per minute")),
            (sliding("300 per hour"), bucket("600 per hour", 299)),
            (bucket("1 per minute", 5), fixed("64 per hour")),
            (bucket("1 per minute", 6), bucket("1 per second", 5)),
            (fixed("5 per minute"), bucket("5 per minute", 9)),
        ] {
            assert!(!covers(&other, &limit, Charge::Allowed), "{other}, {limit}");
        }
        let slots = Limit::new(LimitKind::Concurrency {
            max_in_flight: 1,
            lease_secs: 1,
        });
        assert!(!covers(&slots, &fixed("9 per second"), Charge::Allowed));
        assert!(!covers(&fixed("1 per day"), &slots, Charge::Allowed));
        // Refused hits are charged, too, and reach it.
        assert!(!covers(
            &fixed("10 per minute"),
            &fixed("14400 per day"),
            Charge::Always
        ));
        assert!(covers(
            &fixed("300 per day"),
            &fixed("500 per minute"),
            Charge::Always
        ));
    }
}
