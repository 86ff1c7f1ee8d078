//! Who is at the other end of a connection.

use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) is_encrypted: bool,
    /// Whether only this machine can reach the port, so that only its names are valid hosts.
    pub(super) is_on_loopback: bool,
}

impl Peer {
    /// Whether it is on this machine.
    pub(super) fn is_local(self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}
