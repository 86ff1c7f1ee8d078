//! Health checks over HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::AdminState;
use crate::server::readiness::ServingStage;

/// As envoyproxy/ratelimit answers.
pub(super) async fn healthcheck(
    State(shared): State<Arc<AdminState>>,
) -> (StatusCode, &'static str) {
    match shared.admin.readiness.stage() {
        ServingStage::Serving => (StatusCode::OK, "OK"),
        ServingStage::Starting | ServingStage::Draining => (StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

/// With what is wrong although weir serves.
pub(super) async fn ready(
    State(shared): State<Arc<AdminState>>,
) -> (StatusCode, Cow<'static, str>) {
    match shared.admin.readiness.stage() {
        ServingStage::Serving => match shared.admin.engine.unavailable_reason() {
            None => (StatusCode::OK, "serving\n".into()),
            Some(trouble) => {
                let told = format!("serving, but counters are not shared: {trouble}\n");
                (StatusCode::OK, told.into())
            }
        },
        ServingStage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".into()),
        ServingStage::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into()),
    }
}

pub(super) async fn live() -> &'static str {
    "live\n"
}
