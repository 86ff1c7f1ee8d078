//! `burst`: the size of a token bucket.

use crate::document::{DiagnosticCode, DocumentCode, PathElement, Report};
use crate::limit::{InvalidBucket, Rate, TokenBucket};
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;

/// Reports a `burst` that is 0, or of a limit that is not a token bucket.
pub(super) fn check_burst(raw: &RawLimit, algorithm: Option<&str>, report: &mut Report) {
    let Some(burst) = raw.extras.burst.given() else {
        return;
    };
    if burst.value == 0 {
        let message = "`burst` must be at least 1";
        report.add(DocumentCode::InvalidNumber, burst.position, message);
    }
    if algorithm.is_some_and(|algorithm| algorithm != "token_bucket") {
        let message = "`burst` belongs to `algorithm: token_bucket`";
        report.add(PolicyCode::BurstWithoutBucket, burst.position, message);
    }
}

/// The bucket of a limit; `None` if an error was reported.
pub(super) fn compile(raw: &RawLimit, rate: Rate, report: &mut Report) -> Option<TokenBucket> {
    let burst = raw.extras.burst.given();
    let size = burst.map_or(rate.requests, |burst| burst.value);
    let (key, number, code, message) = match TokenBucket::new(size, rate) {
        Ok(bucket) => return Some(bucket),
        Err(InvalidBucket::TooFast) => (
            "requests_per_unit",
            raw.requests_per_unit.given(),
            DiagnosticCode::from(PolicyCode::RateTooHigh),
            "the refill rate of a bucket is at most 1000000 hits per second",
        ),
        Err(InvalidBucket::TooSlow) => (
            "burst",
            burst,
            DocumentCode::InvalidNumber.into(),
            "filling this bucket would take more than 142 years",
        ),
    };
    let position = number.and_then(|number| number.position);
    report.within(PathElement::Key(key), |report| {
        report.add(code, position, message);
    });
    None
}
