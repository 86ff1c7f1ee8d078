//! The description of the HTTP API: an OpenAPI 3.1 document, which a test generates from [`ENDPOINTS`](super::ENDPOINTS)
//! and the types that the handlers send.

#[cfg(test)]
mod document;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// The document, in JSON.
pub const OPENAPI: &str = include_str!("../../../docs/reference/openapi.json");

pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
