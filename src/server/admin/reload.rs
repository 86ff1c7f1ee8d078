//! `POST /api/reload`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{AdminState, audit, json_response};
use crate::api::{Reload, ReloadResult};
use crate::server::reload::ReloadOutcome;

pub(super) async fn reload(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Response {
    let (status, outcome) = match state.admin.reloader.reload().await {
        ReloadOutcome::Reloaded | ReloadOutcome::Unchanged => {
            (StatusCode::OK, ReloadResult::Success)
        }
        ReloadOutcome::Failed => (StatusCode::CONFLICT, ReloadResult::Failure),
    };
    audit::log(peer, "reload", outcome.as_str());
    let load = state.admin.metrics.last_load().unwrap_or_default();
    let mut response = json_response(&Reload { outcome, load });
    *response.status_mut() = status;
    response
}
