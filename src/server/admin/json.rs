//! `POST /json`: a decision, for clients without gRPC.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{AdminState, Peer, guard};
use crate::engine::{Code, CountingStatus};
use crate::request::Cost;
use crate::server::grpc::NOT_COUNTED;

pub(super) async fn decide(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = match state.protocol.request(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    // A caller that can refund or peek could do without the token what `/api/keys/…` requires it for.
    let mut descriptors = request.descriptors.iter();
    let only_charges = descriptors.all(|descriptor| matches!(descriptor.cost, Cost::Hits(_)));
    if !only_charges && let Err(denied) = guard::authorize(&state, &headers, peer) {
        return denied.into_response();
    }
    let mut call = state.recorder.begin();
    let decision = state
        .admin
        .engine
        .decide_observed(&request, |result| call.record(&request, &result))
        .await;
    call.end(&decision);
    if decision.counting_status == CountingStatus::Failed {
        if let Some(grant) = &decision.grant {
            state.admin.engine.release(grant);
        }
        let reason = format!("{NOT_COUNTED}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    }
    let status = match decision.code {
        Code::Ok => StatusCode::OK,
        Code::OverLimit => StatusCode::TOO_MANY_REQUESTS,
    };
    let json = [(CONTENT_TYPE, "application/json")];
    (status, json, state.protocol.response(decision)).into_response()
}
