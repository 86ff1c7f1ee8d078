//! The audit log: who did what over the admin API. It is logged at every level.

use super::Peer;
use crate::policy::AssignmentId;
use crate::request::Request;

/// Logs an action.
pub(super) fn log(peer: Peer, action: &str, outcome: &str) {
    tracing::info!(target: "weir::audit", peer = %peer.address, action, outcome, "admin");
}

/// Logs an action on counters: the domain and the keys, never a value. A domain that no policy
/// defines is not logged, since its name could be anything.
pub(super) fn log_keys(peer: Peer, action: &str, outcome: &str, request: &Request, is_known: bool) {
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
    tracing::info!(target: "weir::audit", peer = %peer.address, action, domain = &*domain, keys, outcome, "admin");
}

/// Logs an action on an assignment: the table, and the start of the hash of the value.
pub(super) fn log_assignment(peer: Peer, action: &str, outcome: &str, id: &AssignmentId) {
    let (domain, table, client) = (&id.domain, &id.table, id.short());
    tracing::info!(target: "weir::audit", peer = %peer.address, action, domain, table, client, outcome, "admin");
}
