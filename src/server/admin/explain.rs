//! `POST /api/explain`: what a request would meet and why.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{AdminState, audit, explained, guard, out_of_reach};

pub(super) async fn explain(
    State(shared): State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // What has been counted of a client is only for those who may see clients.
    let is_live = headers.contains_key(AUTHORIZATION);
    if is_live && let Err(refusal) = guard::permit(&shared, &headers, peer) {
        return refusal.into_response();
    }
    let request = match shared.protocol.request(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let engine = &shared.admin.engine;
    if !is_live {
        return explained(&headers, &engine.explain(&request));
    }
    let Some(explanation) = engine.inspect(&request).await else {
        return out_of_reach();
    };
    audit::say_of_keys(
        peer.0,
        ("explain", "told"),
        &request,
        explanation.domain_is_known,
    );
    explained(&headers, &explanation)
}
