//! Posts spans to a collector over HTTP.

use std::pin::Pin;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::EXPORT_TIMEOUT;
use crate::client::{self, TlsDialer};
use crate::host_lookup;
use crate::telemetry::CollectorAddress;

/// A client of one collector, whose requests run on a runtime: the exporter's own thread has none.
#[derive(Debug)]
pub(super) struct CollectorClient {
    authority: String,
    tls: Option<TlsDialer>,
    runtime: Handle,
}

impl CollectorClient {
    /// A client that works on the current runtime.
    pub(super) fn new(collector: &CollectorAddress, tls: Option<TlsDialer>) -> Self {
        Self {
            authority: collector.authority(),
            tls,
            runtime: Handle::current(),
        }
    }
}

/// What the trait makes of an `async fn`.
type Exchange<'c> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'c>>;

impl HttpClient for CollectorClient {
    fn send_bytes<'c, 'a>(&'c self, request: Request<Bytes>) -> Exchange<'a>
    where
        'c: 'a,
        Self: 'a,
    {
        let exchange = exchange(self.authority.clone(), self.tls.clone(), request);
        let exchange = self.runtime.spawn(within(EXPORT_TIMEOUT, exchange));
        Box::pin(async { exchange.await? })
    }
}

async fn within(
    time: Duration,
    exchange: impl Future<Output = Result<Response<Bytes>, HttpError>>,
) -> Result<Response<Bytes>, HttpError> {
    tokio::time::timeout(time, exchange).await?
}

async fn exchange(
    authority: String,
    tls: Option<TlsDialer>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let addresses = host_lookup::lookup_authority(&authority).await?;
    let stream = client::connect(&addresses, tls.as_ref()).await?;
    Ok(client::exchange(stream, relative(authority, request)?).await?)
}

/// The request as a server takes it: with a path, and the host in a field.
fn relative(authority: String, request: Request<Bytes>) -> Result<Request<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse()?;
    head.headers.insert("host", authority.parse()?);
    Ok(Request::from_parts(head, body))
}
