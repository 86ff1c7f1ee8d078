//! One integration binary: weir through its library and its command line, in virtual time.
//!
//! `conformance` holds what envoyproxy/ratelimit answers; something new about decisions probably
//! goes into a file of its own beside it.

mod conformance;
mod offline;
