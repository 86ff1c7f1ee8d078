//! Units of time in the protocol.
//!
//! Envoy has two enums with the same numbers: `RateLimitUnit` in requests, and `RateLimit.Unit` in
//! responses, which also has `WEEK`. weir accepts `WEEK` in requests too, so the enum of responses
//! covers both.

use super::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit as ProtoUnit;
use crate::request::Unit;

impl From<Unit> for ProtoUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Second => Self::Second,
            Unit::Minute => Self::Minute,
            Unit::Hour => Self::Hour,
            Unit::Day => Self::Day,
            Unit::Week => Self::Week,
            Unit::Month => Self::Month,
            Unit::Year => Self::Year,
        }
    }
}

/// The unit with this number in the protocol; `None` for `UNKNOWN` and undefined numbers.
pub fn unit_from_number(number: i32) -> Option<Unit> {
    let has_number = |unit: &Unit| unit_number(*unit) == number;
    Unit::ALL.into_iter().find(has_number)
}

/// The number of a unit in the protocol.
pub fn unit_number(unit: Unit) -> i32 {
    ProtoUnit::from(unit).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::envoy::r#type::v3::RateLimitUnit;

    #[test]
    fn requests_and_responses_use_the_same_numbers() {
        for (request, unit) in [
            (RateLimitUnit::Unknown, None),
            (RateLimitUnit::Second, Some(Unit::Second)),
            (RateLimitUnit::Minute, Some(Unit::Minute)),
            (RateLimitUnit::Hour, Some(Unit::Hour)),
            (RateLimitUnit::Day, Some(Unit::Day)),
            (RateLimitUnit::Month, Some(Unit::Month)),
            (RateLimitUnit::Year, Some(Unit::Year)),
        ] {
            assert_eq!(unit_from_number(request.into()), unit);
        }
        for unit in Unit::ALL {
            assert_eq!(unit_from_number(unit_number(unit)), Some(unit));
        }
        assert_eq!(unit_from_number(8), None);
        assert_eq!(unit_from_number(-1), None);
    }
}
