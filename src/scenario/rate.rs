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

impl From<&CurrentLimit> for Rate {
    fn from(limit: &CurrentLimit) -> Self {
        Self {
            requests_per_unit: limit.requests_per_unit,
            unit: limit.unit,
            unit_multiplier: limit.unit_multiplier,
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
