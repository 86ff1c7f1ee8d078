//! `/api/keys/…`: how the counters of one client stand, and mending them.
//!
//! The client is named by a `RateLimitRequest` in the body, so that no value stands in a URL.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{AdminState, audit, guard, out_of_reach, told};
use crate::engine::CountingStatus;
use crate::request::{Cost, Request};

/// What is to be done with the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeysAction {
    Show,
    Reset,
    Credit,
}

pub(super) async fn show(
    shared: State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    act(KeysAction::Show, &shared, (peer, &headers), &body).await
}

pub(super) async fn reset(
    shared: State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    act(KeysAction::Reset, &shared, (peer, &headers), &body).await
}

pub(super) async fn credit(
    shared: State<Arc<AdminState>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    act(KeysAction::Credit, &shared, (peer, &headers), &body).await
}

async fn act(
    action: KeysAction,
    shared: &AdminState,
    (peer, headers): (ConnectInfo<SocketAddr>, &HeaderMap),
    body: &[u8],
) -> Response {
    if let Err(refusal) = guard::permit(shared, headers, peer) {
        return refusal.into_response();
    }
    let mut request = match shared.protocol.request(body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let engine = &shared.admin.engine;
    let (word, outcome) = match action {
        KeysAction::Show => ("show", "told".to_owned()),
        KeysAction::Reset => {
            let Ok(forgotten) = engine.reset(&request).await else {
                return out_of_reach();
            };
            ("reset", format!("{forgotten} counters forgotten"))
        }
        KeysAction::Credit => {
            let hits = refund(&mut request);
            let credited = engine.decide(&request).await;
            if matches!(
                credited.counting_status,
                CountingStatus::Degraded | CountingStatus::Failed
            ) {
                return out_of_reach();
            }
            ("credit", format!("{hits} hits given back"))
        }
    };
    let Some(explanation) = engine.inspect(&request).await else {
        return out_of_reach();
    };
    audit::say_of_keys(
        peer.0,
        (word, &outcome),
        &request,
        explanation.domain_is_known,
    );
    let mut answer = serde_json::json!(explanation);
    answer["outcome"] = outcome.into();
    told(answer)
}

/// Turns what a request would cost into what it gives back, and tells how much that is.
fn refund(request: &mut Request) -> u64 {
    let mut all = 0;
    for descriptor in &mut request.descriptors {
        if let Cost::Hits(hits) = descriptor.cost {
            descriptor.cost = Cost::Refund(hits);
            all += u64::from(hits);
        }
    }
    all
}
