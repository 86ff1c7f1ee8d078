//! Programs that weir's tests and benchmarks run against: found, started, and made to fail.
//!
//! It knows nothing of weir itself: addresses are text. Everything that is started ends when its value is dropped, and
//! when the process of the test ends. A failure here is a panic, which fails the test or ends the benchmark.

#![allow(
    clippy::unwrap_used,
    reason = "a program that cannot be driven fails the test or the benchmark"
)]

mod authority;
mod cluster;
mod envoy_gateway;
mod http;
mod port;
mod process;
pub mod program;
mod ratelimit;
mod redis_server;
mod sentinels;
mod slow_proxy;
mod strict_proxy;
pub mod transcript;

pub use authority::{Authority, Issued};
pub use cluster::Cluster;
pub use envoy_gateway::envoy_gateway_environment;
pub use http::http_get;
pub use port::free_port;
pub use process::{PATIENCE, Process, wait_until};
pub use ratelimit::Ratelimit;
pub use redis_server::RedisServer;
pub use sentinels::{Passwords, Sentinels};
pub use slow_proxy::SlowProxy;
pub use strict_proxy::{StrictProxy, UnknownCommand};
