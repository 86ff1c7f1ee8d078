//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::AdminState;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(shared): State<Arc<AdminState>>) -> impl IntoResponse {
    let admin = &shared.admin;
    let with_reference = admin.config.envoy_ratelimit_metrics;
    let text = admin.metrics.text(&admin.engine, with_reference);
    ([(CONTENT_TYPE, TEXT_FORMAT)], text)
}
