//! Counters in Redis, against real servers that the tests start and stop.
//!
//! - `shared`: the tests that the `it` binary runs with counters in memory
//! - `assignments`: what was added on one instance is in force on all
//! - `contract`: what both stores guarantee, through the API of `Store`
//! - `equality`: the same random calls to both stores, with every answer compared
//! - `rejections`: servers and proxies that answer, and do not count or do not know a command
//! - `sharing`: what several instances share, and what they keep from Redis
//! - `local_cache`: what is decided without Redis
//! - `faults`: a Redis that is unavailable, slow, full or rejects the password
//! - `health`: health checks of `weir ratelimit`
//! - `pair`: two Redis, one of them for limits per second
//! - `planted`: values in Redis that weir did not write
//! - `program`: the `weir` binary with `--store`
//! - `topology`: a cluster, sentinels and a failover, TLS, a Unix socket
//!
//! The crate `weir-harness` starts the servers and makes them fail; `stores` and `instances` use them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod instances;
mod stores;

#[path = "../shared/mod.rs"]
#[allow(dead_code, reason = "the other binary uses the rest")]
mod shared;

mod assignments;
mod contract;
mod doctor;
mod equality;
mod faults;
mod health;
mod local_cache;
mod pair;
mod planted;
mod program;
mod rejections;
mod sharing;
mod topology;
