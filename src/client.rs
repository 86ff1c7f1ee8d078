//! A client of the rate-limit service: sends requests as Envoy does and returns the answer in plain types.
//!
//! [`Client`] speaks gRPC to `weir serve --grpc`, or to any other implementation of Envoy's protocol;
//! [`AdminClient`] speaks HTTP to `weir serve --http`.

mod admin;
mod connector;
mod error;
mod exchange;
mod health;
mod server_addr;
mod tls;

use std::fmt;
use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::Channel;

pub use admin::{AdminClient, AdminError, MediaType};
pub use connector::{HostResolver, tcp_connector};
pub use error::ClientError;
pub use exchange::{HttpStream, connect, exchange};
pub use health::check_health;
pub use server_addr::{ParseServerAddrError, ServerAddr};
pub use tls::{TlsDialer, TlsOptions, TlsOptionsError};

use crate::host_lookup;
use crate::limit::{Quota, Window};
use crate::proto::envoy::config::core::v3::HeaderValue;
use crate::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use crate::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor as descriptor_pb;
use crate::proto::envoy::service::ratelimit::v3::rate_limit_response as response_pb;
use crate::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use crate::proto::unit_number;
use crate::request::{Cost, Descriptor, Override, Request, Unit};

/// A connection to a rate-limit server.
///
/// ```no_run
/// use std::time::Duration;
/// use weir::client::Client;
/// use weir::request::{Descriptor, Entry, Request};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = Client::connect(&"127.0.0.1:8081".parse()?, Duration::from_secs(1)).await?;
/// let entry = Entry { key: "api_key".into(), value: "k".into() };
/// let descriptor = Descriptor { entries: vec![entry], ..Descriptor::default() };
/// let request = Request { domain: "shop".into(), descriptors: vec![descriptor] };
/// let answer = client.should_rate_limit(&request).await?;
/// println!("{} remaining", answer.statuses[0].remaining);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    server: ServerAddr,
    grpc: RateLimitServiceClient<Channel>,
}

/// A server's answer to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerAnswer {
    /// Whether the request is refused.
    pub over_limit: bool,
    /// One per descriptor, in the order of the request.
    pub statuses: Vec<DescriptorStatus>,
    /// Headers for the client: name and value.
    pub headers: Vec<(String, String)>,
    /// Headers for the upstream: name and value.
    pub request_headers: Vec<(String, String)>,
    /// The body for the client; empty if there is none.
    pub body: String,
    /// The lease that holds the slots of this request, to be named in the refund.
    pub lease: Option<String>,
}

/// The state of one descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorStatus {
    /// Whether this descriptor is over its limit.
    pub over_limit: bool,
    /// The limit that the server reports for it.
    pub limit: Option<ReportedLimit>,
    /// Hits that would be admitted now.
    pub remaining: u32,
    /// Seconds until the limit resets.
    pub reset_after_secs: Option<u64>,
}

/// A limit as a server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedLimit {
    /// Empty if the limit has no name.
    pub name: String,
    /// Hits per window, or slots if the unit is `unknown`.
    pub requests_per_unit: u32,
    /// The unit in lower case; `unknown` for a limit without a window.
    pub unit: String,
    /// Length of the window, in units.
    pub unit_multiplier: u32,
}

/// Such as `600 per minute (name)`.
impl fmt::Display for ReportedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Unit::from_name(&self.unit);
        let window = unit.and_then(|unit| Window::new(unit, self.unit_multiplier));
        write!(f, "{}", Quota::new(self.requests_per_unit, window))?;
        match self.name.as_str() {
            "" => Ok(()),
            name => write!(f, " ({name})"),
        }
    }
}

impl Client {
    /// Connects. `timeout` bounds connecting and every later call. A server with TLS must have a certificate of a CA
    /// that the system trusts.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if the server cannot be reached.
    pub async fn connect(server: &ServerAddr, timeout: Duration) -> Result<Self, ClientError> {
        Self::connect_with(server, &TlsOptions::default(), timeout).await
    }

    /// Connects, with these options if the server has TLS.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if the server cannot be reached, [`ClientError::Tls`] if the options cannot be used.
    pub async fn connect_with(
        server: &ServerAddr,
        tls: &TlsOptions,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let channel = open_channel(server, tls, timeout).await?;
        Ok(Self {
            server: server.clone(),
            grpc: RateLimitServiceClient::new(channel),
        })
    }

    /// Calls `ShouldRateLimit`.
    ///
    /// # Errors
    /// [`ClientError::Call`] if the server rejects the request, or does not answer in time.
    pub async fn should_rate_limit(
        &mut self,
        request: &Request,
    ) -> Result<ServerAnswer, ClientError> {
        let response = self.grpc.should_rate_limit(to_proto(request)).await;
        response
            .map(|response| answer(response.into_inner()))
            .map_err(|status| call_error(&self.server, &status))
    }
}

/// Connects; `timeout` bounds this and every call.
async fn open_channel(
    server: &ServerAddr,
    tls: &TlsOptions,
    timeout: Duration,
) -> Result<Channel, ClientError> {
    let connect_error = |error: tonic::transport::Error| ClientError::Connect {
        server: server.clone(),
        reason: root(&error).to_string(),
    };
    let endpoint = server.endpoint().map_err(connect_error)?;
    let endpoint = endpoint.connect_timeout(timeout).timeout(timeout);
    let channel = match server.encrypted() {
        None if server.is_unix() => endpoint.connect().await,
        None => endpoint.connect_with_connector(tcp_connector(None)).await,
        Some(authority) => {
            let dialer = tls.dialer(authority, b"h2");
            let dialer = dialer.map_err(ClientError::Tls)?;
            let authority = authority.to_owned();
            let connector = tower::service_fn(move |_| {
                let (dialer, authority) = (dialer.clone(), authority.clone());
                async move {
                    let addresses = host_lookup::lookup_authority(&authority).await?;
                    let stream = TcpStream::connect(&addresses[..]).await?;
                    stream.set_nodelay(true)?;
                    Ok::<_, io::Error>(TokioIo::new(dialer.connect(stream).await?))
                }
            });
            endpoint.connect_with_connector(connector).await
        }
    };
    channel.map_err(connect_error)
}

/// The error of a call that was answered with `status`, or not answered.
fn call_error(server: &ServerAddr, status: &tonic::Status) -> ClientError {
    let server = server.clone();
    match std::error::Error::source(status) {
        Some(broken) if matches!(status.code(), tonic::Code::Unknown | tonic::Code::Internal) => {
            ClientError::Broken {
                server,
                reason: root(broken).to_string(),
            }
        }
        // With TLS 1.3 a client learns only after its handshake that the server did not accept it.
        Some(_) if status.code() == tonic::Code::Cancelled => ClientError::Broken {
            server,
            reason: "the server closed it".to_owned(),
        },
        _ => ClientError::Call {
            server,
            code: status.code(),
            message: status.message().to_owned(),
        },
    }
}

fn to_proto(request: &Request) -> RateLimitRequest {
    RateLimitRequest {
        domain: request.domain.clone(),
        descriptors: request.descriptors.iter().map(descriptor).collect(),
        hits_addend: common_hits(&request.descriptors),
    }
}

/// The hits of all descriptors if they are equal, else 0: servers that do not know hits of single descriptors count these.
fn common_hits(descriptors: &[Descriptor]) -> u32 {
    let mut costs = descriptors.iter().map(|descriptor| descriptor.cost);
    match costs.next() {
        Some(Cost::Hits(hits)) if costs.all(|cost| cost == Cost::Hits(hits)) => hits,
        _ => 0,
    }
}

fn descriptor(descriptor: &Descriptor) -> RateLimitDescriptor {
    let entries = descriptor.entries.iter().map(|entry| descriptor_pb::Entry {
        key: entry.key.clone(),
        value: entry.value.clone(),
    });
    let (hits, is_negative_hits) = match descriptor.cost {
        Cost::Peek => (0, false),
        Cost::Hits(hits) => (hits, false),
        Cost::Refund(hits) => (hits, true),
    };
    RateLimitDescriptor {
        entries: entries.collect(),
        limit: descriptor.limit.map(override_to_proto),
        hits_addend: Some(hits.into()),
        is_negative_hits,
    }
}

fn override_to_proto(limit: Override) -> descriptor_pb::RateLimitOverride {
    descriptor_pb::RateLimitOverride {
        requests_per_unit: limit.requests_per_unit,
        unit: unit_number(limit.unit),
        unit_multiplier: Some(limit.unit_multiplier).filter(|&multiplier| multiplier != 1),
    }
}

fn answer(message: RateLimitResponse) -> ServerAnswer {
    let over_limit = message.overall_code() == response_pb::Code::OverLimit;
    let headers = |headers: Vec<HeaderValue>| headers.into_iter().map(header).collect();
    ServerAnswer {
        over_limit,
        statuses: message.statuses.into_iter().map(status).collect(),
        headers: headers(message.response_headers_to_add),
        request_headers: headers(message.request_headers_to_add),
        body: String::from_utf8_lossy(&message.raw_body).into_owned(),
        lease: message.dynamic_metadata.and_then(lease),
    }
}

/// The lease that the answer's dynamic metadata names.
fn lease(mut metadata: prost_types::Struct) -> Option<String> {
    match metadata.fields.remove("lease")?.kind? {
        prost_types::value::Kind::StringValue(lease) => Some(lease),
        _ => None,
    }
}

fn status(status: response_pb::DescriptorStatus) -> DescriptorStatus {
    DescriptorStatus {
        over_limit: status.code() == response_pb::Code::OverLimit,
        remaining: status.limit_remaining,
        reset_after_secs: status
            .duration_until_reset
            .map(|reset| u64::try_from(reset.seconds).unwrap_or(0)),
        limit: status.current_limit.map(limit),
    }
}

fn limit(limit: response_pb::RateLimit) -> ReportedLimit {
    ReportedLimit {
        unit: limit.unit().as_str_name().to_lowercase(),
        requests_per_unit: limit.requests_per_unit,
        unit_multiplier: limit.unit_multiplier.unwrap_or(1),
        name: limit.name,
    }
}

fn header(header: HeaderValue) -> (String, String) {
    let value = if header.value.is_empty() {
        String::from_utf8_lossy(&header.raw_value).into_owned()
    } else {
        header.value
    };
    (header.key, value)
}

/// The root cause of an error: "Connection refused" rather than "transport error".
fn root<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
