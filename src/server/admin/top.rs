//! `/api/top`: heavy hitters.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::{AdminState, guard, json_response};
use crate::api::{DomainTop, Top};

pub(super) async fn top(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    // It shows clients. Without a token that is permitted if only this machine can connect.
    let is_open = state.admin.token.is_none() && state.is_loopback;
    if !is_open && let Err(denied) = guard::authorize(&state, &headers, peer) {
        return denied.into_response();
    }
    let (policy, now) = (state.admin.engine.policy(), state.admin.engine.now());
    let domains = policy.domains().into_iter().map(|domain| DomainTop {
        name: domain.name.to_string(),
        clients: state.admin.metrics.top(domain, now),
    });
    json_response(&Top {
        now,
        domains: domains.collect(),
    })
}
