//! A limit in words: `600 per minute`, `1 per 5 minutes`.

use std::fmt;

use crate::engine::CurrentLimit;
use crate::limit::Window;
use crate::request::{Override, Unit};

/// So many hits per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Hits per window.
    pub requests_per_unit: u32,
    /// The unit of the window.
    pub unit: Unit,
    /// How many units make the window; at least 1.
    pub unit_multiplier: u32,
}

impl Rate {
    /// Reads `600 per minute`, `600/minute` or `1 per 5 minutes`.
    pub fn parse(text: &str) -> Option<Self> {
        let (requests, window) = text.split_once(" per ").or_else(|| text.split_once('/'))?;
        let window = window.trim();
        let (multiplier, unit) = match window.split_once(char::is_whitespace) {
            Some((multiplier, unit)) => (multiplier.parse().ok()?, unit.trim()),
            None => (1, window),
        };
        let singular = unit.strip_suffix('s').filter(|_| multiplier != 1);
        let rate = Self {
            requests_per_unit: requests.trim().parse().ok()?,
            unit: Unit::from_name(singular.unwrap_or(unit))?,
            unit_multiplier: multiplier,
        };
        // None for a window that a policy could not have either.
        Window::new(rate.unit, multiplier).map(|_| rate)
    }
}

/// A limit that is reported, in words: a rate, or `8 at once`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Hits per window.
    Rate(Rate),
    /// Slots.
    AtOnce(u32),
}

impl Amount {
    /// What a limit allows; `window` is none for slots.
    pub fn new(number: u32, window: Option<Window>) -> Self {
        match window {
            Some(window) => Self::Rate(Rate {
                requests_per_unit: number,
                unit: window.unit(),
                unit_multiplier: window.multiplier(),
            }),
            None => Self::AtOnce(number),
        }
    }

    /// Reads a rate, or `8 at once`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix(" at once") {
            Some(number) => number.trim().parse().ok().map(Self::AtOnce),
            None => Rate::parse(text).map(Self::Rate),
        }
    }
}

impl From<&CurrentLimit> for Amount {
    fn from(limit: &CurrentLimit) -> Self {
        Self::new(limit.requests_per_unit, limit.window)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(f),
            Self::AtOnce(number) => write!(f, "{number} at once"),
        }
    }
}

impl From<Rate> for Override {
    fn from(rate: Rate) -> Self {
        Self {
            requests_per_unit: rate.requests_per_unit,
            unit: rate.unit,
            unit_multiplier: rate.unit_multiplier,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, unit) = (self.requests_per_unit, self.unit.name());
        match self.unit_multiplier {
            1 => write!(f, "{requests} per {unit}"),
            many => write!(f, "{requests} per {many} {unit}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_and_written() {
        for text in ["8 at once", "600 per minute"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        for text in ["at once", "-1 at once", "8", "8 at onces"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_read_and_written() {
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
}
