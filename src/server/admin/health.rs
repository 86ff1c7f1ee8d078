//! Health checks over HTTP.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;
use crate::server::readiness::Stage;

/// As envoyproxy/ratelimit answers.
pub(super) async fn healthcheck(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    match shared.admin.readiness.stage() {
        Stage::Serving => (StatusCode::OK, "OK"),
        Stage::Starting | Stage::Leaving => (StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    match shared.admin.readiness.stage() {
        Stage::Serving => (StatusCode::OK, "serving\n"),
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Stage::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n"),
    }
}

pub(super) async fn live() -> &'static str {
    "live\n"
}
