//! Health checks over HTTP.

use std::borrow::Cow;
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

/// With what is wrong although weir serves.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Cow<'static, str>) {
    match shared.admin.readiness.stage() {
        Stage::Serving => match shared.admin.engine.store_trouble() {
            None => (StatusCode::OK, "serving\n".into()),
            Some(trouble) => {
                let told = format!("serving, but counters are not shared: {trouble}\n");
                (StatusCode::OK, told.into())
            }
        },
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".into()),
        Stage::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n".into()),
    }
}

pub(super) async fn live() -> &'static str {
    "live\n"
}
