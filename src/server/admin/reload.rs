//! `POST /api/reload`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{AdminState, audit, guard, told};
use crate::server::reload::ReloadOutcome;

pub(super) async fn reload(
    State(shared): State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = guard::permit(&shared, &headers, peer) {
        return refusal.into_response();
    }
    let outcome = shared.admin.reloader.reload().await;
    let load = shared.admin.metrics.last_load().unwrap_or_default();
    let (status, word) = match outcome {
        ReloadOutcome::Reloaded | ReloadOutcome::Unchanged => (StatusCode::OK, "success"),
        ReloadOutcome::Failed => (StatusCode::CONFLICT, "failure"),
    };
    audit::say(peer.0, "reload", word);
    let mut answer = told(json!({
        "outcome": word,
        "generation": load.generation,
        "error": load.error,
        "diagnostics": load.diagnostics,
    }));
    *answer.status_mut() = status;
    answer
}
