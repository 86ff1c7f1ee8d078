//! Who changed or saw what: a line in the log, whatever its level is.

use std::net::SocketAddr;

/// Says it. Keys are named, values never.
pub(super) fn say(peer: SocketAddr, action: &str, what: &str, outcome: &str) {
    tracing::info!(target: "weir::audit", %peer, action, what, outcome, "admin");
}
