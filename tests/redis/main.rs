//! Counters in Redis, against real servers that the tests start and stop.
//!
//! - `conformance`, `counters`: the very tests of the `it` binary, with counters in Redis
//! - `contract`: what both stores promise, at the store's door
//! - `equality`: the same random calls at both stores, every answer compared
//! - `sharing`: what several weirs have in common, and what they do not tell Redis
//! - `local_cache`: what is decided without asking
//! - `faults`: Redis that is away, dies, freezes, is slow, full, or does not let us in
//! - `program`: the `weir` binary with `--store`
//! - `topology`: a cluster, sentinels and a failover, TLS, a Unix socket
//!
//! The crate `weir-harness` starts the servers and makes them fail; `stores` and `instances` count in them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod instances;
mod stores;

#[path = "../it/conformance.rs"]
mod conformance;
#[path = "../it/counters.rs"]
mod counters;
#[path = "../it/offline.rs"]
#[allow(dead_code, reason = "the other binary uses the rest")]
mod offline;

mod contract;
mod equality;
mod faults;
mod local_cache;
mod program;
mod sharing;
mod topology;
