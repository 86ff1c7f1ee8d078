//! Ports on loopback for programs that cannot choose one themselves.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The ports that tests give to servers: below those that systems take for outgoing connections (32,768 on Linux), any of
/// which could take a port before its server does.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// A port that was free a moment ago, and that no other caller in this process gets.
///
/// # Panics
/// When the system has none left.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different places.
    let first = std::process::id().wrapping_mul(7919);
    for _ in PORTS {
        let nth = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + (nth % u32::from(PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// A port whose cluster bus, which is ten thousand higher, is a valid and free port too.
pub(crate) fn free_cluster_port() -> u16 {
    loop {
        let port = free_port();
        if TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}
