//! `/api/top`: who asks most, and who is refused most.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{AdminState, guard, told};
use crate::telemetry::HeavyHitter;

pub(super) async fn top(
    State(shared): State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    // It shows clients. Where nobody but this machine can ask, and nobody set a token, that is for whoever asks.
    let is_open = shared.admin.token.is_none() && shared.is_loopback;
    if !is_open && let Err(refusal) = guard::permit(&shared, &headers, peer) {
        return refusal.into_response();
    }
    let (policy, now) = (shared.admin.engine.policy(), shared.admin.engine.now());
    let domains = policy.domains().into_iter().map(|domain| {
        let top = shared.admin.metrics.top(domain, now);
        json!({
            "name": &*domain.name,
            "since_secs": top.since.micros() / 1_000_000,
            "requested": top.requested.iter().map(hitter).collect::<Vec<_>>(),
            "refused": top.refused.iter().map(hitter).collect::<Vec<_>>(),
        })
    });
    told(json!({
        "now_secs": now.micros() / 1_000_000,
        "domains": domains.collect::<Vec<_>>(),
    }))
}

fn hitter(hitter: &HeavyHitter) -> Value {
    json!({
        "client": &*hitter.client,
        "rule": &*hitter.rule,
        "hits": hitter.hits,
        "overcount": hitter.overcount,
    })
}
