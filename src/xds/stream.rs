//! A stream to the server: how it is opened, and why it can fail.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};

use super::config::XdsConfig;
use super::session::Session;
use crate::client::{TlsOptions, tcp_connector};
use crate::pem::{self, IdentityText, PemError};
use crate::proto::envoy::config::core::v3::Node;
use crate::proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use crate::proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

/// A server that has gone away without a word is noticed by this. Pings of HTTP/2 would not be: servers close the
/// connection of a client that sends them more often than every five minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// A stream could not be opened, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The address or a name is malformed.
    #[error("invalid {what}: {text:?}")]
    Invalid {
        /// What is malformed.
        what: &'static str,
        /// How it was written.
        text: String,
    },
    /// A file for TLS cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There is no connection.
    #[error("cannot connect to {server}")]
    Connect {
        /// The address.
        server: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The server, or the connection, has ended the stream.
    #[error("{code}: {message}", code = .0.code(), message = .0.message())]
    Status(Box<tonic::Status>),
    /// The server has sent more than is accepted.
    #[error(
        "the server has sent a configuration of more than {most} bytes; accept longer ones with --xds-max-message \
         (XDS_CLIENT_MAX_MSG_SIZE_IN_BYTES of `weir ratelimit`)"
    )]
    TooLong {
        /// The most that is accepted, in bytes.
        most: usize,
    },
    /// The server has ended the stream without an error.
    #[error("the server has ended the stream")]
    Ended,
}

/// Requests to the server, and its responses.
pub(super) struct DiscoveryStream {
    pub(super) requests: mpsc::Sender<DiscoveryRequest>,
    pub(super) responses: Streaming<DiscoveryResponse>,
}

/// Opens a stream with this request.
///
/// # Errors
/// When the server refuses it.
pub(super) async fn open(config: &XdsConfig) -> Result<DiscoveryStream, StreamError> {
    let channel = connect(config).await?;
    let request = Session::new(node(config)).subscribe();
    subscribe(channel, config, request).await
}

/// Opens a stream on a connection.
pub(super) async fn subscribe(
    channel: Channel,
    config: &XdsConfig,
    request: DiscoveryRequest,
) -> Result<DiscoveryStream, StreamError> {
    let (requests, outgoing) = mpsc::channel(4);
    send(&requests, request).await?;
    let mut call = Request::new(ReceiverStream::new(outgoing));
    for (name, value) in &config.headers {
        let invalid = |text: &String| StreamError::Invalid {
            what: "header",
            text: text.clone(),
        };
        let key = AsciiMetadataKey::from_bytes(name.to_lowercase().as_bytes());
        let key = key.map_err(|_| invalid(name))?;
        // The value may be a secret.
        let value = AsciiMetadataValue::try_from(value.as_str());
        let value = value.map_err(|_| invalid(name))?;
        call.metadata_mut().insert(key, value);
    }
    let mut client = AggregatedDiscoveryServiceClient::new(channel)
        .max_decoding_message_size(config.max_message_bytes);
    let responses = client.stream_aggregated_resources(call).await;
    Ok(DiscoveryStream {
        requests,
        responses: responses
            .map_err(|status| error(status, config))?
            .into_inner(),
    })
}

pub(super) async fn send(
    requests: &mpsc::Sender<DiscoveryRequest>,
    request: DiscoveryRequest,
) -> Result<(), StreamError> {
    requests.send(request).await.map_err(|_| StreamError::Ended)
}

/// Why a stream has ended with a status.
pub(super) fn error(status: tonic::Status, config: &XdsConfig) -> StreamError {
    /// How tonic begins the message of a status of its own.
    const TOO_LONG: &str = "Error, decoded message length too large";
    if status.code() == tonic::Code::OutOfRange && status.message().starts_with(TOO_LONG) {
        return StreamError::TooLong {
            most: config.max_message_bytes,
        };
    }
    StreamError::Status(Box::new(status))
}

pub(super) async fn connect(config: &XdsConfig) -> Result<Channel, StreamError> {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let invalid = |_| StreamError::Invalid {
        what: "address of a configuration server",
        text: config.server.clone(),
    };
    let failed = |source| StreamError::Connect {
        server: config.server.clone(),
        source,
    };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", config.server))
        .map_err(invalid)?
        .connect_timeout(config.connect_timeout);
    if let Some(tls) = &config.tls {
        endpoint = endpoint.tls_config(tls_config(tls)?).map_err(failed)?;
    }
    let connector = tcp_connector(Some(TCP_KEEPALIVE));
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(failed)
}

fn tls_config(tls: &TlsOptions) -> Result<ClientTlsConfig, PemError> {
    let mut config = ClientTlsConfig::new();
    config = match &tls.ca {
        Some(ca) => config.trust_anchors(pem::roots(ca)?.roots),
        None => config.with_native_roots(),
    };
    if let Some((certificate, key)) = &tls.identity {
        let IdentityText { certificate, key } = IdentityText::read(certificate, key)?;
        config = config.identity(Identity::from_pem(certificate, key));
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    Ok(config)
}

pub(super) fn node(config: &XdsConfig) -> Node {
    let text = |text: &String| prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(text.clone())),
    };
    let fields = config.node_metadata.iter();
    let metadata = prost_types::Struct {
        fields: fields
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    };
    Node {
        id: config.node_id.clone(),
        cluster: String::new(),
        metadata: (!config.node_metadata.is_empty()).then_some(metadata),
    }
}
