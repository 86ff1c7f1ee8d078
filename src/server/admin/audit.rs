//! Who changed or saw what: a line in the log, whatever its level is.

use std::net::SocketAddr;

use crate::request::Request;

/// Says it.
pub(super) fn say(peer: SocketAddr, action: &str, outcome: &str) {
    tracing::info!(target: "weir::audit", %peer, action, outcome, "admin");
}

/// Says it of keys: which ones, never their values. What a domain and keys are, the policy says; others are not told.
pub(super) fn say_of_keys(
    peer: SocketAddr,
    (action, outcome): (&str, &str),
    request: &Request,
    is_known: bool,
) {
    let domain = match is_known {
        true => String::from_utf8_lossy(&request.domain),
        false => "unknown".into(),
    };
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let keys = descriptor.entries.iter();
        let keys: Vec<_> = keys
            .map(|entry| String::from_utf8_lossy(&entry.key))
            .collect();
        keys.join(", ")
    });
    let keys = descriptors.collect::<Vec<_>>().join("; ");
    tracing::info!(target: "weir::audit", %peer, action, %domain, %keys, outcome, "admin");
}
