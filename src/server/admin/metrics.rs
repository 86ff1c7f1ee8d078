//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::AdminState;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> impl IntoResponse {
    let admin = &state.admin;
    let envoy_names = admin.config.envoy_ratelimit_metrics;
    let text = admin.metrics.text(&admin.engine, envoy_names);
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}
