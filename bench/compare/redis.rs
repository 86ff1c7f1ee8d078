//! Real Redis servers, started as the tests start them.

#![allow(
    clippy::unwrap_used,
    reason = "a server that does not start ends the run"
)]
#![allow(dead_code, reason = "the tests use the rest")]

#[path = "../../tests/redis/deployment.rs"]
pub(crate) mod deployment;
#[path = "../../tests/redis/proxy.rs"]
pub(crate) mod proxy;
#[path = "../../tests/redis/server.rs"]
pub(crate) mod server;
