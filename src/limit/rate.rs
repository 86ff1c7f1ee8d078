//! Limits as text: `600 per minute`, `60 per minute, burst 90`, `8 at once (lease 180 s)`.
//!
//! Every view of a limit uses these words: the page, explanations, replays, metrics, scenarios.

use std::fmt;

use super::{Limit, LimitKind, Window};
use crate::request::{Override, Unit};

/// Requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Hits per window; 0 refuses all.
    pub requests: u32,
    /// The window that they are counted in.
    pub window: Window,
}

/// What a limit allows, whatever its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Hits per window.
    Rate(Rate),
    /// Slots in use at once.
    Concurrent(u32),
}

impl Rate {
    /// Parses `600 per minute`, `600/minute` or `1 per 5 minutes`.
    ///
    /// `None` for other text, and for a window that [`Window::new`] rejects.
    pub fn parse(text: &str) -> Option<Self> {
        let (requests, window) = text.split_once(" per ").or_else(|| text.split_once('/'))?;
        let window = window.trim();
        let (multiplier, unit) = match window.split_once(char::is_whitespace) {
            Some((multiplier, unit)) => (multiplier.parse().ok()?, unit.trim()),
            None => (1, window),
        };
        let singular = unit.strip_suffix('s').filter(|_| multiplier != 1);
        let unit = Unit::from_name(singular.unwrap_or(unit))?;
        Some(Self {
            requests: requests.trim().parse().ok()?,
            window: Window::new(unit, multiplier)?,
        })
    }
}

impl Quota {
    /// `number` hits per `window`; slots if there is no window.
    pub const fn new(number: u32, window: Option<Window>) -> Self {
        match window {
            Some(window) => Self::Rate(Rate {
                requests: number,
                window,
            }),
            None => Self::Concurrent(number),
        }
    }

    /// Parses what [`Rate::parse`] does, or `8 at once`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix(" at once") {
            Some(number) => number.trim().parse().ok().map(Self::Concurrent),
            None => Rate::parse(text).map(Self::Rate),
        }
    }

    /// The hits per window, or the slots.
    pub const fn number(self) -> u32 {
        match self {
            Self::Rate(rate) => rate.requests,
            Self::Concurrent(slots) => slots,
        }
    }

    /// The window; `None` for slots.
    pub const fn window(self) -> Option<Window> {
        match self {
            Self::Rate(rate) => Some(rate.window),
            Self::Concurrent(_) => None,
        }
    }
}

/// A window that no policy could have becomes [`Window::LONGEST`].
impl From<Override> for Rate {
    fn from(limit: Override) -> Self {
        let window = Window::new(limit.unit, limit.unit_multiplier);
        Self {
            requests: limit.requests_per_unit,
            window: window.unwrap_or(Window::LONGEST),
        }
    }
}

impl From<Rate> for Override {
    fn from(rate: Rate) -> Self {
        Self {
            requests_per_unit: rate.requests,
            unit: rate.window.unit(),
            unit_multiplier: rate.window.multiplier(),
        }
    }
}

/// `minute`, `5 minutes`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit().name();
        match self.multiplier() {
            1 => f.write_str(unit),
            many => write!(f, "{many} {unit}s"),
        }
    }
}

/// `600 per minute`, as [`Rate::parse`] reads it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.requests, self.window)
    }
}

/// `600 per minute` or `8 at once`, as [`Quota::parse`] reads it.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(f),
            Self::Concurrent(slots) => write!(f, "{slots} at once"),
        }
    }
}

/// The quota, with a burst that is not the rate's, and with the lease of slots.
impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FixedWindow(rate) | Self::SlidingWindow(rate) => rate.fmt(f),
            Self::Calendar(rate) => write!(f, "{} per {}", rate.requests, rate.calendar),
            Self::TokenBucket(bucket) if bucket.burst() == bucket.rate().requests => {
                bucket.rate().fmt(f)
            }
            Self::TokenBucket(bucket) => write!(f, "{}, burst {}", bucket.rate(), bucket.burst()),
            Self::Concurrency {
                max_in_flight,
                lease_secs,
            } => write!(f, "{max_in_flight} at once (lease {lease_secs} s)"),
        }
    }
}

/// As its kind is displayed, and its penalty: `5 per minute, then blocked for 60, 600 s`. Neither the name nor the algorithm
/// is part of it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        let Some(penalty) = &self.penalty else {
            return Ok(());
        };
        for (at, secs) in penalty.block_secs().iter().enumerate() {
            let before = if at == 0 { ", then blocked for" } else { "," };
            write!(f, "{before} {secs}")?;
        }
        f.write_str(" s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::TokenBucket;
    use super::*;

    #[test]
    fn slots_are_parsed_and_displayed() {
        for text in ["8 at once", "600 per minute"] {
            assert_eq!(Quota::parse(text).unwrap().to_string(), text);
        }
        for text in ["at once", "-1 at once", "8", "8 at onces"] {
            assert_eq!(Quota::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_parsed_and_displayed() {
        for text in ["600 per minute", "1 per 5 minutes", "0 per day"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("5/second"), Rate::parse("5 per second"));
        for text in [
            "",
            "600",
            "per minute",
            "6 per 0 minutes",
            "6 per 11 years",
            "6 per minuten",
            "-1 per day",
        ] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_kind_of_limit_is_displayed() {
        let rate = Rate::parse("60 per 5 minutes").unwrap();
        let bucket = |burst| LimitKind::TokenBucket(TokenBucket::new(burst, rate).unwrap());
        let slots = LimitKind::Concurrency {
            max_in_flight: 8,
            lease_secs: 180,
        };
        for (kind, text) in [
            (LimitKind::FixedWindow(rate), "60 per 5 minutes"),
            (LimitKind::SlidingWindow(rate), "60 per 5 minutes"),
            (bucket(60), "60 per 5 minutes"),
            (bucket(90), "60 per 5 minutes, burst 90"),
            (slots, "8 at once (lease 180 s)"),
        ] {
            assert_eq!(Limit::new(kind).to_string(), text);
        }
    }
}
