//! One integration binary; tests go into the file of what they are about.
//!
//! - `architecture`: who may import whom
//! - `binary`: the `weir` command, as a process
//! - `calls`: `ShouldRateLimit` over the wire, good and bad
//! - `discovery`: health checks and reflection
//! - `lifetime`: connections, workers and the server's end
//!
//! `running` is no test: it starts servers for the others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod binary;
mod calls;
mod discovery;
mod lifetime;
mod running;
