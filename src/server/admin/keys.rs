//! `/api/keys/…`: shows and changes the counters of one client.
//!
//! The client is the `RateLimitRequest` in the body, so that no value is in a URL.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{AdminState, Peer, audit, json_response, store_unavailable};
use crate::api::Keys;
use crate::engine::CountingStatus;
use crate::request::{Cost, Request};

/// What to do with the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeysAction {
    Show,
    Reset,
    Credit,
}

pub(super) async fn show(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    run(KeysAction::Show, &state, peer, &body).await
}

pub(super) async fn reset(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    run(KeysAction::Reset, &state, peer, &body).await
}

pub(super) async fn credit(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    run(KeysAction::Credit, &state, peer, &body).await
}

async fn run(action: KeysAction, state: &AdminState, peer: Peer, body: &[u8]) -> Response {
    let mut request = match state.protocol.request(body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let engine = &state.admin.engine;
    let outcome = match action {
        KeysAction::Show => None,
        KeysAction::Reset => match engine.reset(&request).await {
            Ok(1) => Some("1 counter deleted".to_owned()),
            Ok(deleted) => Some(format!("{deleted} counters deleted")),
            Err(_) => return store_unavailable(),
        },
        KeysAction::Credit => {
            let hits = into_refund(&mut request);
            match engine.decide(&request).await.counting_status {
                CountingStatus::Degraded | CountingStatus::Failed => return store_unavailable(),
                CountingStatus::Counted | CountingStatus::Unmatched => {}
            }
            Some(match hits {
                1 => "1 hit refunded".to_owned(),
                hits => format!("{hits} hits refunded"),
            })
        }
    };
    let Some(explanation) = engine.inspect(&request).await else {
        return store_unavailable();
    };
    let logged = outcome.as_deref().unwrap_or("shown");
    let is_known = explanation.domain_is_known;
    audit::log_keys(peer, action.as_str(), logged, &request, is_known);
    json_response(&Keys {
        outcome,
        explanation,
    })
}

/// Turns the hits of a request into refunds, and returns their sum.
fn into_refund(request: &mut Request) -> u64 {
    let mut sum = 0;
    for descriptor in &mut request.descriptors {
        if let Cost::Hits(hits) = descriptor.cost {
            descriptor.cost = Cost::Refund(hits);
            sum += u64::from(hits);
        }
    }
    sum
}

impl KeysAction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::Reset => "reset",
            Self::Credit => "credit",
        }
    }
}
