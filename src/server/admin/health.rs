//! Health checks over HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::AdminState;
use crate::api::ServingStage;

/// The paths of health checks, which never wait for another request.
pub(super) const PATHS: [&str; 3] = ["/healthcheck", "/ready", "/live"];

/// Answers as envoyproxy/ratelimit does.
pub(super) async fn healthcheck(
    State(state): State<Arc<AdminState>>,
) -> (StatusCode, &'static str) {
    match state.admin.readiness.stage() {
        ServingStage::Serving => (StatusCode::OK, "OK"),
        ServingStage::Starting | ServingStage::Draining => (StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

/// 200 while serving. The text says whether Redis is unavailable.
pub(super) async fn ready(State(state): State<Arc<AdminState>>) -> (StatusCode, Cow<'static, str>) {
    let stage = state.admin.readiness.stage();
    if stage != ServingStage::Serving {
        let text = format!("{}\n", stage.as_str());
        return (StatusCode::SERVICE_UNAVAILABLE, text.into());
    }
    match state.admin.engine.unavailable_reason() {
        None => (StatusCode::OK, "serving\n".into()),
        Some(reason) => {
            let text = format!("serving, but redis is unavailable: {reason}\n");
            (StatusCode::OK, text.into())
        }
    }
}

pub(super) async fn live() -> &'static str {
    "live\n"
}
