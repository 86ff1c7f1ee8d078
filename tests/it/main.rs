//! One integration binary; tests go into the file of what they are about.
//!
//! - `abandoned`: answers that nobody waits for
//! - `admin`: health, metrics and decisions over HTTP
//! - `architecture`: who may import whom
//! - `binary`: the `weir` command, as a process
//! - `calls`: `ShouldRateLimit` over the wire, good and bad
//! - `commands`: `weir test` and `weir explain`, as processes
//! - `conformance`: what envoyproxy/ratelimit answers, in virtual time
//! - `counters`: whose counter a descriptor meets, and what is charged to it
//! - `discovery`: health checks and reflection
//! - `docs`: what the documentation shows
//! - `examples`: the programs in `examples`
//! - `keys`: the counters of one client, and who may see and mend them
//! - `leases`: slots that are held, and what is charged together or not at all
//! - `lifetime`: connections, workers and the server's end
//! - `operations`: the page for operators, the dashboard and the alerts
//! - `overview`: rates, and who asks most
//! - `policies`: files that load, and files that are refused, each with all that is said of it
//! - `query`: `weir query`, against a server in this process
//! - `reload`: policies that change while they are served
//! - `replay`: recorded traffic through policies
//! - `response`: what the client is told
//! - `schema`: what editors are told of the files
//! - `scenarios`: policies and their tests, run as `weir test` runs them
//! - `traces`: spans at a collector, and refusals in the log
//!
//! `offline`, `running`, `site` and `stores` are no tests: they make a weir without a wire, servers, and counters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abandoned;
mod admin;
mod architecture;
mod binary;
mod calls;
mod commands;
mod conformance;
mod counters;
mod discovery;
mod docs;
mod examples;
mod keys;
mod leases;
mod lifetime;
mod offline;
mod operations;
mod overview;
mod policies;
mod query;
mod reload;
mod replay;
mod response;
mod running;
mod scenarios;
mod schema;
mod site;
mod stores;
mod traces;
