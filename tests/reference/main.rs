//! The same requests at weir and at envoyproxy/ratelimit, the server that weir replaces: every answer is compared.
//!
//! - `random`: random policies and requests
//! - `compare`: `weir compare` with both
//! - `metrics`: the metrics under the reference's names
//! - `stories`: what the reference's own integration tests do, in our words
//!
//! The crate `weir-harness` installs the reference with Go and starts it with a Redis of its own. Where a part is
//! missing, the tests report SKIPPED and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both;
mod generator;

mod compare;
mod metrics;
mod random;
mod stories;
