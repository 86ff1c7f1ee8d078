//! `/metrics`, written in pieces: the text of a large policy has many megabytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::AdminState;

/// The path of the endpoint.
pub(super) const PATH: &str = "/metrics";

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A piece has at least this many bytes, except the last one.
const PIECE_BYTES: usize = 64 * 1024;

/// How long a client may take to read a piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

type TextPiece = Result<String, io::Error>;

pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let (pieces, received) = mpsc::channel(2);
    tokio::spawn(send(state, pieces));
    let body = Body::from_stream(ReceiverStream::new(received));
    ([(CONTENT_TYPE, TEXT_FORMAT)], body).into_response()
}

async fn send(state: Arc<AdminState>, pieces: mpsc::Sender<TextPiece>) {
    // Room for the error, so that no text that was cut off looks complete.
    let Ok(end) = pieces.clone().reserve_owned().await else {
        return;
    };
    let admin = &state.admin;
    let policy = admin.engine.policy();
    let envoy_names = admin.config.envoy_ratelimit_metrics;
    let mut piece = String::new();
    for text in admin.metrics.text(&admin.engine, &policy, envoy_names) {
        piece.push_str(&text);
        if piece.len() < PIECE_BYTES {
            continue;
        }
        let full = std::mem::take(&mut piece);
        match tokio::time::timeout(PIECE_TIMEOUT, pieces.send(Ok(full))).await {
            Ok(Ok(())) => {}
            // The client has gone.
            Ok(Err(_)) => return,
            Err(_) => {
                end.send(Err(io::Error::from(io::ErrorKind::TimedOut)));
                return;
            }
        }
    }
    end.send(Ok(piece));
}
