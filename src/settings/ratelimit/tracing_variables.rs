//! Variables for traces.

use std::path::PathBuf;

use super::super::ServeSettings;
use super::ports::file;
use super::value::{InvalidValue, boolean, ratio, set};
use super::variable::{VariableGroup, ignored, used};
use crate::telemetry::{CollectorAddress, TraceConfig, TraceProtocol, TraceService};

/// Where spans go.
pub(super) struct Tracing {
    is_enabled: bool,
    is_grpc: bool,
    /// Of all signals, to which OTLP over HTTP adds `/v1/traces`.
    endpoint: Option<CollectorEndpoint>,
    /// Of traces alone.
    traces_endpoint: Option<CollectorEndpoint>,
    ca: PathBuf,
    sample_ratio: f64,
    service: TraceService,
}

/// The address of a collector, and a path.
#[derive(Clone, Debug)]
struct CollectorEndpoint {
    address: CollectorAddress,
    /// Without a `/` at its end.
    path: String,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            is_enabled: false,
            is_grpc: false,
            endpoint: None,
            traces_endpoint: None,
            ca: PathBuf::new(),
            sample_ratio: 1.0,
            service: TraceService {
                name: "RateLimit".to_owned(),
                ..TraceService::default()
            },
        }
    }
}

pub(super) const GROUP: VariableGroup<Tracing> = VariableGroup {
    title: "Traces",
    variables: &[
        used(
            "TRACING_ENABLED",
            "false",
            "spans, sent by OTLP",
            |raw, value| set(&mut raw.is_enabled, boolean(value)),
        ),
        used(
            "TRACING_EXPORTER_PROTOCOL",
            "http",
            "`http` or `grpc`",
            |raw, value| set(&mut raw.is_grpc, is_grpc(value)),
        ),
        used(
            "TRACING_SERVICE_NAME",
            "RateLimit",
            "`service.name`",
            |raw, value| set(&mut raw.service.name, Ok(value.into())),
        ),
        used(
            "TRACING_SERVICE_NAMESPACE",
            "",
            "`service.namespace`",
            |raw, value| set(&mut raw.service.namespace, Ok(value.into())),
        ),
        used(
            "TRACING_SERVICE_INSTANCE_ID",
            "",
            "`service.instance.id`",
            |raw, value| set(&mut raw.service.instance_id, Ok(value.into())),
        ),
        used(
            "TRACING_SAMPLING_RATE",
            "1",
            "share of calls without a `traceparent` that are traced, from 0 to 1",
            |raw, value| set(&mut raw.sample_ratio, ratio(value)),
        ),
        used(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "",
            "the collector: `http://HOST:PORT`, or `https://…`; without it, this machine. With `http`, `/v1/traces` is added",
            |raw, value| set(&mut raw.endpoint, endpoint(value)),
        ),
        used(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "",
            "the same for traces; nothing is added",
            |raw, value| set(&mut raw.traces_endpoint, endpoint(value)),
        ),
        used(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "",
            "header fields for the collector: name=value,name=value",
            |_, _| Ok(()),
        ),
        used(
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "",
            "PEM file with the CA of the collector, instead of those of the system",
            |raw, value| set(&mut raw.ca, Ok(value.into())),
        ),
        ignored(
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "10000",
            "weir waits for the collector for 5 seconds",
        ),
    ],
};

impl Tracing {
    pub(super) fn apply(self, settings: &mut ServeSettings) {
        settings.traces = None;
        if !self.is_enabled {
            return;
        }
        let (endpoint, is_whole) = match (self.traces_endpoint, self.endpoint) {
            (Some(endpoint), _) => (Some(endpoint), true),
            (None, endpoint) => (endpoint, false),
        };
        let endpoint = endpoint.unwrap_or_default();
        let (collector, protocol) = match (self.is_grpc, is_whole) {
            (true, _) => (endpoint.address, TraceProtocol::Grpc),
            (false, true) => (
                endpoint.address.for_http(),
                TraceProtocol::Http {
                    path: endpoint.path,
                },
            ),
            (false, false) => {
                let path = format!("{}{}", endpoint.path, TraceProtocol::HTTP_PATH);
                (endpoint.address.for_http(), TraceProtocol::Http { path })
            }
        };
        settings.traces = Some(TraceConfig {
            ca: file(self.ca).filter(|_| collector.is_encrypted()),
            collector,
            protocol,
            sample_ratio: self.sample_ratio,
            service: self.service,
        });
    }
}

impl Default for CollectorEndpoint {
    /// This machine.
    fn default() -> Self {
        Self {
            address: CollectorAddress::default(),
            path: String::new(),
        }
    }
}

fn is_grpc(value: &str) -> Result<bool, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "http" | "https" => Ok(false),
        "grpc" => Ok(true),
        _ => Err(InvalidValue("http or grpc")),
    }
}

fn endpoint(value: &str) -> Result<Option<CollectorEndpoint>, InvalidValue> {
    if value.is_empty() {
        return Ok(None);
    }
    let start = value.find("://").map_or(0, |at| at + "://".len());
    let end = value[start..]
        .find('/')
        .map_or(value.len(), |at| start + at);
    let (address, path) = value.split_at(end);
    let address = address.parse();
    let is_fine = path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.contains(['?', '#']);
    match address {
        Ok(address) if is_fine => Ok(Some(CollectorEndpoint {
            address,
            path: path.trim_end_matches('/').to_owned(),
        })),
        _ => Err(InvalidValue("an address such as http://collector:4318")),
    }
}
