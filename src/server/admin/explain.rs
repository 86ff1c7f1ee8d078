//! `POST /api/explain`: what a request would meet and why.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{AdminState, Peer, audit, guard, json_response, store_unavailable};

/// Descriptors that are explained at once: each can list hundreds of matchers per entry.
const MAX_DESCRIPTORS: usize = 16;

pub(super) async fn explain(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The counters of a client are shown only with the token.
    let is_live = headers.contains_key(AUTHORIZATION);
    if is_live && let Err(denied) = guard::authorize(&state, &headers, peer) {
        return denied.into_response();
    }
    let request = match state.protocol.request(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    if request.descriptors.len() > MAX_DESCRIPTORS {
        let reason = format!("at most {MAX_DESCRIPTORS} descriptors can be explained at once\n");
        return (StatusCode::BAD_REQUEST, reason).into_response();
    }
    let engine = &state.admin.engine;
    let explanation = if is_live {
        let Some(explanation) = engine.inspect(&request).await else {
            return store_unavailable();
        };
        let is_known = explanation.domain_is_known;
        audit::log_keys(peer, "explain", "shown", &request, is_known);
        explanation
    } else {
        engine.explain(&request)
    };
    match headers.get(ACCEPT).is_some_and(|form| form == "text/plain") {
        true => explanation.to_string().into_response(),
        false => json_response(&explanation),
    }
}
