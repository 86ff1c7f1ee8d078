//! `POST /api/reload`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{AdminState, Peer, audit, json_response};
use crate::api::{Reload, ReloadResult};
use crate::server::reload::ReloadOutcome;

/// How long a caller waits; the reload itself continues.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn reload(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Response {
    let reload = state.admin.reloader.reload();
    let Ok(reloaded) = tokio::time::timeout(TIMEOUT, reload).await else {
        let reason = "the policy files are still being read, see the log\n";
        return (StatusCode::GATEWAY_TIMEOUT, reason).into_response();
    };
    let (status, outcome) = match reloaded {
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
