//! TCP connections for tonic.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::host_lookup;

/// Looks up the names of hosts for an [`HttpConnector`].
#[derive(Clone, Copy, Debug)]
pub struct HostResolver;

impl Service<Name> for HostResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        // The connector sets the port.
        Box::pin(async move { Ok(host_lookup::lookup(name.as_str(), 0).await?.into_iter()) })
    }
}

/// Makes connections for an endpoint of tonic, which adds TLS and the timeout. The operating system tests a connection
/// that is idle for `keepalive`.
pub fn tcp_connector(keepalive: Option<Duration>) -> HttpConnector<HostResolver> {
    let mut connector = HttpConnector::new_with_resolver(HostResolver);
    // https is tonic's affair.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(keepalive);
    connector
}
