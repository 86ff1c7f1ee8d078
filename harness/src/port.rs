//! Ports on loopback for programs that cannot choose one themselves.

use std::net::TcpListener;

/// A port that was free a moment ago.
///
/// # Panics
/// When the system has none left.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A port whose cluster bus, which is ten thousand higher, is a valid and free port too.
pub(crate) fn free_cluster_port() -> u16 {
    let mut occupied = Vec::new();
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
        // Keeping it open makes the system offer another one.
        occupied.push(listener);
    }
}
