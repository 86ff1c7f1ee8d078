//! Every endpoint of the admin server: its path, its help text, and its handler.
//!
//! An endpoint is one row of [`ENDPOINTS`]. A row contains its handler, so an endpoint that is
//! listed is served, and `docs/reference/endpoints.md` is generated from the same rows.

use std::sync::Arc;

use axum::routing::{MethodRouter, any, get, post};

use super::{
    Access, AdminState, assignments, explain, health, json, keys, metrics, openapi, overview, page,
    reload, rlconfig, top,
};

/// An endpoint of the admin server.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Its HTTP method.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, in one sentence.
    pub help: &'static str,
    pub(super) handler: Handler,
}

type Handler = fn() -> MethodRouter<Arc<AdminState>>;

const fn endpoint(
    access: Access,
    method: &'static str,
    path: &'static str,
    help: &'static str,
    handler: Handler,
) -> Endpoint {
    Endpoint {
        method,
        path,
        access,
        help,
        handler,
    }
}

/// All endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        Access::NamedHost,
        "GET",
        "/",
        "the admin page: domains, rules, heavy hitters, and a form that explains a request",
        || get(page::page),
    ),
    endpoint(
        Access::Anybody,
        "GET",
        "/healthcheck",
        "200 `OK` while weir accepts calls, else 500",
        || any(health::healthcheck),
    ),
    endpoint(
        Access::Anybody,
        "GET",
        "/ready",
        "200 while weir accepts calls, with a note if Redis is unavailable; else 503",
        || get(health::ready),
    ),
    endpoint(
        Access::Anybody,
        "GET",
        "/live",
        "200 as long as the process responds",
        || get(health::live),
    ),
    endpoint(
        Access::Anybody,
        "GET",
        metrics::PATH,
        "all metrics in Prometheus' text format",
        || get(metrics::metrics),
    ),
    endpoint(
        Access::Charging,
        "POST",
        "/json",
        "decides and counts a `RateLimitRequest` in JSON: 200 for OK, 429 for OVER_LIMIT, 400 if the request is invalid, 503 for `on_store_error: error`",
        || post(json::decide),
    ),
    endpoint(
        Access::NamedHost,
        "GET",
        "/rlconfig",
        "one line per limit in force, as in envoyproxy/ratelimit",
        || get(rlconfig::rlconfig),
    ),
    endpoint(
        Access::NamedHost,
        "GET",
        "/api/overview",
        "the data of the page: domains, rules and the last 15 minutes",
        || get(overview::overview),
    ),
    endpoint(
        Access::NamedHost,
        "GET",
        "/api/events",
        "changes of the overview, one server-sent event every 5 seconds",
        || get(overview::events),
    ),
    endpoint(
        Access::Clients,
        "GET",
        "/api/top",
        "the clients with the most hits and the most refused hits in the last 5 to 10 minutes",
        || get(top::top),
    ),
    endpoint(
        Access::NamedHost,
        "POST",
        "/api/explain",
        "explains a `RateLimitRequest`, as `weir explain` does: with the token by the present counters, without it by fresh ones",
        || post(explain::explain),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/keys/show",
        "the counters of a `RateLimitRequest`; nothing is counted",
        || post(keys::show),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/keys/reset",
        "deletes the counters of its descriptors",
        || post(keys::reset),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/keys/credit",
        "refunds the hits that it would cost",
        || post(keys::credit),
    ),
    endpoint(
        Access::Clients,
        "GET",
        "/api/assignments",
        "the assignments that were added while weir serves, and the tables; values by the start of their SHA-256",
        || get(assignments::list),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/assignments/show",
        "the assignment that is in force for a value",
        || post(assignments::show),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/assignments/set",
        "gives a value of a table a plan or limits of its own, perhaps until a time",
        || post(assignments::set),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/assignments/remove",
        "removes an assignment that was added",
        || post(assignments::remove),
    ),
    endpoint(
        Access::NamedHost,
        "GET",
        "/api/openapi.json",
        "these endpoints as an OpenAPI document",
        || get(openapi::openapi),
    ),
    endpoint(
        Access::Token,
        "POST",
        "/api/reload",
        "reloads the policies: 200 if they are in force, 409 if they were rejected, 504 if that takes more than a minute",
        || post(reload::reload),
    ),
];
