//! Looks up the addresses of hosts, each on a thread of its own.
//!
//! tokio and hyper look up names on threads of a pool, and panic when the system provides no thread for it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::threads;

/// The addresses of `HOST:PORT`.
///
/// # Errors
/// If the host is unknown, or the system provides no thread.
pub(crate) async fn lookup_authority(authority: &str) -> io::Result<Vec<SocketAddr>> {
    match authority.parse() {
        Ok(address) => Ok(vec![address]),
        Err(_) => lookup_name(authority.to_owned()).await,
    }
}

/// The addresses of a host, with this port.
///
/// # Errors
/// If the host is unknown, or the system provides no thread.
pub(crate) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => lookup_name((host.to_owned(), port)).await,
    }
}

async fn lookup_name(name: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    let lookup = move || name.to_socket_addrs().map(Iterator::collect);
    threads::run("weir-lookup", lookup).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_addresses_are_looked_up() {
        let expected: SocketAddr = "127.0.0.1:7".parse().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let authority = lookup_authority(&format!("{host}:7")).await.unwrap();
            assert!(authority.contains(&expected), "{authority:?}");
            let with_port = lookup(host, 7).await.unwrap();
            assert!(with_port.contains(&expected), "{with_port:?}");
        }
        let v6 = lookup_authority("[::1]:7").await.unwrap();
        assert_eq!(v6, lookup("::1", 7).await.unwrap());
    }

    #[tokio::test]
    async fn a_host_that_does_not_exist_is_an_error() {
        assert!(lookup("no.such.host.invalid", 7).await.is_err());
        assert!(lookup_authority("localhost").await.is_err());
    }
}
