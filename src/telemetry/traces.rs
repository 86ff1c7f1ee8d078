//! Traces: one span per decision, exported by OTLP.
//!
//! A span is a child of the span that the caller names in `traceparent`. It contains names from the
//! policy and never a value that a client sent. Without `--otlp` none of this runs.

mod http_client;

use std::path::Path;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use thiserror::Error;

use super::collector::{TraceConfig, TraceProtocol, TraceService};
use crate::client::{TlsOptions, TlsOptionsError};
use crate::engine::{Decision, DescriptorResult};
use crate::pem::{self, PemError};

use http_client::CollectorClient;

/// How long the collector may take to accept spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Creates and exports spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// The span of one decision; it ends when this is dropped.
#[derive(Debug)]
pub struct DecisionSpan(Span);

impl Traces {
    /// Starts the exporter in the current Tokio runtime, which must outlive it.
    ///
    /// # Errors
    /// If the CA certificates cannot be read, or are not needed.
    pub fn new(config: &TraceConfig) -> Result<Self, TraceError> {
        if !config.collector.is_encrypted() && config.ca.is_some() {
            return Err(TraceError::NotEncrypted);
        }
        let exporter = match &config.protocol {
            TraceProtocol::Grpc => grpc(config)?,
            TraceProtocol::Http { path } => http(config, path)?,
        };
        let exporter = exporter.map_err(TraceError::Exporter)?;
        let TraceService {
            name,
            namespace,
            instance_id,
        } = &config.service;
        let more = [
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.namespace", namespace),
            ("service.instance.id", instance_id),
        ];
        let more = more.into_iter().filter(|(_, value)| !value.is_empty());
        let resource = Resource::builder()
            .with_service_name(name.clone())
            .with_attributes(more.map(|(key, value)| KeyValue::new(key, value.to_owned())))
            .build();
        let roots = Sampler::TraceIdRatioBased(config.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(roots)))
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Self {
            tracer: provider.tracer("weir"),
            provider,
            propagator: TraceContextPropagator::new(),
        })
    }

    /// Starts the span of a call; `header` returns a value of its metadata by name.
    pub fn decision<'h>(&self, header: impl Fn(&str) -> Option<&'h str>) -> DecisionSpan {
        let headers = TraceHeaders {
            traceparent: header("traceparent"),
            tracestate: header("tracestate"),
        };
        let parent = self
            .propagator
            .extract_with_context(&Context::new(), &headers);
        let span = SpanBuilder::from_name("ShouldRateLimit").with_kind(SpanKind::Server);
        let mut span = self.tracer.build_with_context(span, &parent);
        if span.is_recording() {
            span.set_attributes([
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", "envoy.service.ratelimit.v3.RateLimitService"),
                KeyValue::new("rpc.method", "ShouldRateLimit"),
            ]);
        }
        DecisionSpan(span)
    }

    /// Exports the remaining spans, within a few seconds. It blocks, so it must not run on the thread
    /// of the runtime that exports them.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "last spans not exported");
        }
    }
}

impl DecisionSpan {
    /// Adds the result of a descriptor: names from the policy, never values from the client.
    pub fn record(&mut self, result: &DescriptorResult<'_>) {
        let Self(span) = self;
        if !span.is_recording() {
            return;
        }
        if let Some(domain) = result.domain.filter(|_| result.descriptor == 0) {
            span.set_attribute(KeyValue::new("weir.domain", domain.name.to_string()));
        }
        let rule = result.rule.map(|rule| rule.name.to_string());
        let code = result.status.code.as_str();
        let attributes = vec![
            KeyValue::new("weir.descriptor", result.descriptor as i64),
            KeyValue::new("weir.rule", rule.unwrap_or_default()),
            KeyValue::new("weir.code", code),
            KeyValue::new("weir.remaining", i64::from(result.status.remaining)),
        ];
        span.add_event("descriptor", attributes);
    }

    /// Sets the code of the decision.
    pub fn decided(&mut self, decision: &Decision) {
        let Self(span) = self;
        if span.is_recording() {
            let code = decision.code.as_str();
            span.set_attribute(KeyValue::new("weir.code", code));
        }
    }

    /// Marks the call as failed.
    pub fn fail(&mut self, reason: &str) {
        let Self(span) = self;
        span.set_status(Status::error(reason.to_owned()));
    }
}

/// An exporter over gRPC.
fn grpc(config: &TraceConfig) -> Result<Result<SpanExporter, ExporterBuildError>, TraceError> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_protocol(Protocol::Grpc)
        .with_endpoint(config.collector.to_string())
        .with_timeout(EXPORT_TIMEOUT);
    if config.collector.is_encrypted() {
        exporter = exporter.with_tls_config(tls(config.ca.as_deref())?);
    }
    Ok(exporter.build())
}

/// An exporter over HTTP.
fn http(
    config: &TraceConfig,
    path: &str,
) -> Result<Result<SpanExporter, ExporterBuildError>, TraceError> {
    let options = TlsOptions {
        ca: config.ca.clone(),
        ..TlsOptions::default()
    };
    let is_encrypted = config.collector.is_encrypted();
    let dialer = is_encrypted.then(|| options.dialer(&config.collector.authority(), b"http/1.1"));
    let dialer = dialer.transpose().map_err(TraceError::Tls)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient::new(&config.collector, dialer))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}{path}", config.collector))
        .with_timeout(EXPORT_TIMEOUT);
    Ok(exporter.build())
}

/// The headers of W3C Trace Context.
struct TraceHeaders<'h> {
    traceparent: Option<&'h str>,
    tracestate: Option<&'h str>,
}

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// The trust in the certificates of `ca`, or in those of the system.
fn tls(ca: Option<&Path>) -> Result<ClientTlsConfig, PemError> {
    let config = ClientTlsConfig::new();
    Ok(match ca {
        Some(path) => config.trust_anchors(pem::roots(path)?.roots),
        None => config.with_native_roots(),
    })
}

/// Spans cannot be exported.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The exporter cannot be built, for example because the system has no CA certificates.
    #[error(
        "cannot export spans to the collector of --otlp; --otlp-ca names a file with its CA certificates"
    )]
    Exporter(#[source] ExporterBuildError),
    /// The file with CA certificates cannot be used.
    #[error("invalid --otlp-ca")]
    Ca(#[from] PemError),
    /// TLS for the collector, over HTTP, cannot be set up.
    #[error("cannot export spans to the collector of --otlp")]
    Tls(#[source] TlsOptionsError),
    /// The address of the collector is not encrypted.
    #[error("--otlp-ca has no use without TLS; write --otlp https://HOST:PORT")]
    NotEncrypted,
}
