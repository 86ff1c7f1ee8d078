//! Tests that run with counters in memory (`tests/it`) and in Redis (`tests/redis`). The binary that includes this
//! says in its module `stores` where the counters are.
//!
//! - `conformance`: what envoyproxy/ratelimit answers, in virtual time
//! - `counters`: which counter a descriptor meets, and what is charged to it
//!
//! `offline` contains no tests: it makes engines for these and others.

mod conformance;
mod counters;
pub(crate) mod offline;
