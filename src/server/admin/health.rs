//! Health checks over HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::AdminState;
use crate::api::ServingStage;
use crate::state::StateStatus;

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

/// 200 while serving. The text says whether Redis is unavailable, or counters cannot be written to the disk.
pub(super) async fn ready(State(state): State<Arc<AdminState>>) -> (StatusCode, Cow<'static, str>) {
    let stage = state.admin.readiness.stage();
    if stage != ServingStage::Serving {
        let text = format!("{}\n", stage.as_str());
        return (StatusCode::SERVICE_UNAVAILABLE, text.into());
    }
    if let Some(reason) = state.admin.engine.unavailable_reason() {
        let text = format!("serving, but redis is unavailable: {reason}\n");
        return (StatusCode::OK, text.into());
    }
    let problem = state.admin.metrics.state().and_then(StateStatus::problem);
    if let Some(problem) = problem {
        let text = format!("serving, but counters are not written to --state: {problem}\n");
        return (StatusCode::OK, text.into());
    }
    (StatusCode::OK, "serving\n".into())
}

pub(super) async fn live() -> &'static str {
    "live\n"
}
