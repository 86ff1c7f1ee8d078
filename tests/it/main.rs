//! One integration binary; tests go into the file of what they are about.
//!
//! - `abandoned`: calls whose caller has gone
//! - `admin`: health, metrics and decisions over HTTP
//! - `architecture`: imports, import cycles, names and plain English
//! - `binary`: the `weir` command, as a process
//! - `calls`: `ShouldRateLimit` over the wire, good and bad
//! - `commands`: `weir test` and `weir explain`, as processes
//! - `compare`: `weir compare`, with two servers
//! - `discovery`: health checks and reflection
//! - `docs`: what the documentation shows
//! - `doctor`: what `weir doctor` finds in a running server
//! - `examples`: the programs in `examples`
//! - `keys`: the counters of one client, and who may see and change them
//! - `leases`: slots that are held, and what is charged together or not at all
//! - `lifetime`: connections, workers and the server's end
//! - `mistakes`: what people type who know another program, and the answers
//! - `operations`: flags, endpoints, metrics and events as documented, the dashboard and the alerts
//! - `overview`: rates and heavy hitters
//! - `policies`: files that load, and files that are rejected, each with its diagnostics
//! - `query`: `weir query`, against a server in this process
//! - `ratelimit`: `weir ratelimit`, in the place of envoyproxy/ratelimit
//! - `reference`: the pages on commands and diagnostics
//! - `reload`: policies that change while they are served
//! - `replay`: recorded traffic through policies
//! - `response`: headers and bodies for the client
//! - `schema`: the JSON Schema for editors
//! - `state`: counters that survive a restart, a kill and a bad disk
//! - `scenarios`: policies and their tests, run as `weir test` runs them
//! - `shared`: tests that the `redis` binary runs too, with counters in Redis
//! - `terminal`: `weir top` on a screen, and processes that get no thread
//! - `tls`: encrypted connections, their limits and their end
//! - `traces`: spans at a collector, and refusals in the log
//!
//! `running`, `site` and `stores` contain no tests: they make engines, servers and stores for the others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../shared/mod.rs"]
mod shared;

mod abandoned;
mod admin;
mod architecture;
mod assignments;
mod binary;
mod calls;
mod commands;
mod compare;
mod discovery;
mod docs;
mod doctor;
mod examples;
mod import;
mod init;
mod keys;
mod leases;
mod lifetime;
mod metric_values;
mod mistakes;
mod openapi;
mod operations;
mod operator_log;
mod overview;
mod policies;
mod query;
mod ratelimit;
mod reference;
mod reload;
mod replay;
mod replay_logs;
mod response;
mod running;
mod scenarios;
mod schema;
mod site;
mod state;
mod stores;
mod terminal;
mod tls;
mod traces;
mod troubleshooting;
mod unprivileged;
