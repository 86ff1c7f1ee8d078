//! `/api/top`: heavy hitters.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::{AdminState, json_response};
use crate::api::{DomainTop, Top};

pub(super) async fn top(State(state): State<Arc<AdminState>>) -> Response {
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
