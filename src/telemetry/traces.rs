//! Traces: a span for a decision, as a child of the span that the caller names in `traceparent`, sent by OTLP.
//!
//! Without an exporter there is no tracer, and nothing of this runs.

use std::fmt;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};

use crate::engine::{Decision, DescriptorResult};

/// Where spans go, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceConfig {
    /// A collector that takes OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub collector: String,
    /// Fraction of calls without a parent that get a span, from 0 to 1. A call with a parent is sampled as its parent is.
    pub sample_ratio: f64,
}

/// Makes spans.
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
    /// Begins to send spans. They are made in a runtime that lives as long as this.
    ///
    /// # Errors
    /// When that is no address of a collector.
    pub fn new(config: &TraceConfig) -> Result<Self, TraceError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&config.collector)
            .with_timeout(Duration::from_secs(5))
            .build()
            .map_err(TraceError)?;
        let resource = Resource::builder()
            .with_service_name("weir")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
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

    /// A span for a call; `header` says what its metadata hold.
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

    /// Sends what is left, for a few seconds at most. It blocks, and so must not run where spans are sent.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "last spans not exported");
        }
    }
}

impl DecisionSpan {
    /// What a descriptor has result: the policy's words, never the client's.
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

    /// The decision is made.
    pub fn decided(&mut self, decision: &Decision) {
        let Self(span) = self;
        if span.is_recording() {
            let code = decision.code.as_str();
            span.set_attribute(KeyValue::new("weir.code", code));
        }
    }

    /// The call has failed.
    pub fn fail(&mut self, why: &str) {
        let Self(span) = self;
        span.set_status(Status::error(why.to_owned()));
    }
}

/// W3C Trace Context.
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

/// No address of a collector.
#[derive(Debug)]
pub struct TraceError(ExporterBuildError);

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spans cannot be sent to the collector of --otlp: {}",
            self.0
        )
    }
}

impl std::error::Error for TraceError {}
