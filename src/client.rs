//! A client of the rate-limit service: asks as Envoy does, and says the answer in its own words.

mod admin;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

pub use admin::{AdminClient, AdminError, Form};

use crate::proto::envoy::config::core::v3::HeaderValue;
use crate::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use crate::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor as descriptor_pb;
use crate::proto::envoy::service::ratelimit::v3::rate_limit_response as response_pb;
use crate::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use crate::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use crate::proto::envoy::r#type::v3::RateLimitUnit;
use crate::request::{Cost, Descriptor, Override, Request, Unit};

/// `WEEK`, which Envoy has in answers only; weir takes it in overrides too.
const WEEK: i32 = response_pb::rate_limit::Unit::Week as i32;

/// Where a server is: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddr(String);

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    server: ServerAddr,
    grpc: RateLimitServiceClient<Channel>,
}

/// What a server has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether the client is refused.
    pub over_limit: bool,
    /// One per descriptor, in their order.
    pub standings: Vec<Standing>,
    /// Headers for the client: name and value.
    pub headers: Vec<(String, String)>,
    /// The body for the client; empty if there is none.
    pub body: String,
    /// What the slots that it holds are given back by.
    pub lease: Option<String>,
}

/// How one descriptor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of this descriptor alone.
    pub over_limit: bool,
    /// The limit that is reported for it.
    pub limit: Option<Limit>,
    /// Hits that would pass now.
    pub remaining: u32,
    /// Seconds until there is room again.
    pub reset_secs: Option<u64>,
}

/// A limit as a server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Empty if it has none.
    pub name: String,
    /// Hits per window.
    pub requests_per_unit: u32,
    /// In lower case.
    pub unit: String,
    /// How many units make the window.
    pub unit_multiplier: u32,
}

impl FromStr for ServerAddr {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let is_address = match text.strip_prefix("unix:") {
            Some(path) => !path.is_empty(),
            None => text
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
        };
        let is_uri = is_address && Self(text.to_owned()).endpoint().is_ok();
        is_uri
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidServer(()))
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ServerAddr {
    fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        if self.0.starts_with("unix:") {
            Endpoint::from_shared(self.0.clone())
        } else {
            Endpoint::from_shared(format!("http://{}", self.0))
        }
    }
}

impl Client {
    /// Connects. Neither this nor a call takes longer than `timeout`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(server: &ServerAddr, timeout: Duration) -> Result<Self, ClientError> {
        let unreachable = |error: tonic::transport::Error| ClientError {
            what: format!("cannot connect to {server}"),
            reason: root(&error).to_string(),
        };
        let endpoint = server.endpoint().map_err(unreachable)?;
        let endpoint = endpoint.connect_timeout(timeout).timeout(timeout);
        let channel = endpoint.connect().await.map_err(unreachable)?;
        Ok(Self {
            server: server.clone(),
            grpc: RateLimitServiceClient::new(channel),
        })
    }

    /// Asks `ShouldRateLimit`.
    ///
    /// # Errors
    /// When the server refuses the question, or does not answer.
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let answer = self.grpc.should_rate_limit(message(request)).await;
        answer
            .map(|answer| self::answer(answer.into_inner()))
            .map_err(|status| ClientError {
                what: format!("{} does not answer: {:?}", self.server, status.code()),
                reason: status.message().to_owned(),
            })
    }
}

fn message(request: &Request) -> RateLimitRequest {
    RateLimitRequest {
        domain: request.domain.clone(),
        descriptors: request.descriptors.iter().map(descriptor).collect(),
        hits_addend: 0,
    }
}

fn descriptor(descriptor: &Descriptor) -> RateLimitDescriptor {
    let entries = descriptor.entries.iter().map(|entry| descriptor_pb::Entry {
        key: entry.key.clone(),
        value: entry.value.clone(),
    });
    let (hits, is_negative_hits) = match descriptor.cost {
        Cost::Look => (0, false),
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
    let unit = match limit.unit {
        Unit::Second => RateLimitUnit::Second.into(),
        Unit::Minute => RateLimitUnit::Minute.into(),
        Unit::Hour => RateLimitUnit::Hour.into(),
        Unit::Day => RateLimitUnit::Day.into(),
        Unit::Week => WEEK,
        Unit::Month => RateLimitUnit::Month.into(),
        Unit::Year => RateLimitUnit::Year.into(),
    };
    descriptor_pb::RateLimitOverride {
        requests_per_unit: limit.requests_per_unit,
        unit,
        unit_multiplier: Some(limit.unit_multiplier).filter(|&multiplier| multiplier != 1),
    }
}

fn answer(message: RateLimitResponse) -> Answer {
    let over_limit = message.overall_code() == response_pb::Code::OverLimit;
    Answer {
        over_limit,
        standings: message.statuses.into_iter().map(standing).collect(),
        headers: message
            .response_headers_to_add
            .into_iter()
            .map(header)
            .collect(),
        body: String::from_utf8_lossy(&message.raw_body).into_owned(),
        lease: message.dynamic_metadata.and_then(lease),
    }
}

/// What the answer's metadata says of slots.
fn lease(mut metadata: prost_types::Struct) -> Option<String> {
    match metadata.fields.remove("lease")?.kind? {
        prost_types::value::Kind::StringValue(lease) => Some(lease),
        _ => None,
    }
}

fn standing(status: response_pb::DescriptorStatus) -> Standing {
    Standing {
        over_limit: status.code() == response_pb::Code::OverLimit,
        remaining: status.limit_remaining,
        reset_secs: status
            .duration_until_reset
            .map(|reset| u64::try_from(reset.seconds).unwrap_or(0)),
        limit: status.current_limit.map(limit),
    }
}

fn limit(limit: response_pb::RateLimit) -> Limit {
    Limit {
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

/// What lies under an error: "Connection refused" rather than "transport error".
fn root<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// Text that is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidServer(());

impl fmt::Display for InvalidServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected HOST:PORT or unix:PATH, such as 127.0.0.1:8081 or unix:/run/weir.sock",
        )
    }
}

impl std::error::Error for InvalidServer {}

/// A server that could not be asked.
#[derive(Debug)]
pub struct ClientError {
    what: String,
    reason: String,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

impl std::error::Error for ClientError {}
