//! The same limits with another number.

use std::sync::Arc;

use super::{CalendarRate, Limit, LimitKind, LimitSet, Rate, TokenBucket};

impl LimitSet {
    /// These limits, of which the one with the window of `rate` admits as many hits as `rate` says.
    ///
    /// The burst of a token bucket grows as its rate does. `None` unless exactly one limit has that window, or if a
    /// token bucket cannot have the rate.
    pub fn with_rate(&self, rate: Rate) -> Option<Self> {
        let has_window = |limit: &Limit| {
            let window = limit.window();
            window.is_some_and(|window| window.secs() == rate.window.secs())
        };
        let mut found = self.limits.iter().filter(|limit| has_window(limit));
        if found.next().is_none() || found.next().is_some() {
            return None;
        }
        let limits = self.limits.iter().map(|limit| match has_window(limit) {
            true => Some(Limit {
                kind: with_requests(&limit.kind, rate.requests)?,
                ..limit.clone()
            }),
            false => Some(limit.clone()),
        });
        Some(Self {
            limits: limits.collect::<Option<_>>()?,
            charge: self.charge,
        })
    }
}

fn with_requests(kind: &LimitKind, requests: u32) -> Option<LimitKind> {
    let with = |rate: &Rate| Rate { requests, ..*rate };
    Some(match kind {
        LimitKind::FixedWindow(rate) => LimitKind::FixedWindow(with(rate)),
        LimitKind::Calendar(rate) => LimitKind::Calendar(CalendarRate {
            requests,
            calendar: Arc::clone(&rate.calendar),
        }),
        LimitKind::SlidingWindow(rate) => LimitKind::SlidingWindow(with(rate)),
        LimitKind::TokenBucket(bucket) => {
            let before = u64::from(bucket.rate().requests);
            let burst = u64::from(bucket.burst()) * u64::from(requests);
            let burst = match before {
                0 => requests,
                before => u32::try_from(burst / before).unwrap_or(u32::MAX),
            };
            let bucket = TokenBucket::new(burst.max(1), with(&bucket.rate()));
            LimitKind::TokenBucket(bucket.ok()?)
        }
        LimitKind::Concurrency { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Charge;
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    fn changed(kinds: &[LimitKind], to: &str) -> Option<Vec<String>> {
        let set = LimitSet {
            limits: kinds.iter().cloned().map(Limit::new).collect(),
            charge: Charge::Allowed,
        };
        let changed = set.with_rate(rate(to))?;
        Some(changed.limits.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_number_changes_and_the_rest_stays() {
        let bucket = TokenBucket::new(900, rate("600 per minute")).unwrap();
        let kinds = [
            LimitKind::TokenBucket(bucket),
            LimitKind::SlidingWindow(rate("10000 per day")),
            LimitKind::Concurrency {
                max_in_flight: 8,
                lease_secs: 60,
            },
        ];
        let text = |texts: [&str; 3]| Some(texts.map(str::to_owned).to_vec());
        let slots = "8 at once (lease 60 s)";
        assert_eq!(
            changed(&kinds, "1200 per minute"),
            text(["1200 per minute, burst 1800", "10000 per day", slots])
        );
        assert_eq!(
            changed(&kinds, "5 per 24 hours"),
            text(["600 per minute, burst 900", "5 per day", slots])
        );
        assert_eq!(
            changed(&kinds, "0 per minute"),
            text(["0 per minute, burst 1", "10000 per day", slots])
        );
        assert_eq!(changed(&kinds, "5 per hour"), None);
    }

    #[test]
    fn two_limits_of_one_window_are_not_guessed_between() {
        let kind = LimitKind::FixedWindow(rate("5 per minute"));
        assert_eq!(changed(&[kind.clone(), kind], "6 per minute"), None);
    }
}
