//! Calls, connections and certificates, of gRPC and of HTTP.

use super::{MetricFamily, counter, gauge};
use crate::server::http2::Rejection;
use crate::telemetry::ServerPort;

pub(super) const FAMILIES: &[MetricFamily] = &[
    counter(
        "weir_errors_total",
        &["code"],
        "Calls that were read and answered with an error, by gRPC status code.",
        |scrape, out| {
            for (code, name) in GRPC_CODES.iter().enumerate().skip(1) {
                out.labelled(&[name], scrape.metrics.sum(|t| t.errors[code].get()));
            }
        },
    ),
    counter(
        "weir_rejections_total",
        &["reason"],
        "Calls and connections that were rejected before their message was read; the log has advice for each reason.",
        |scrape, out| {
            for reason in Rejection::ALL {
                let count = scrape.metrics.sum(|t| t.rejections.get(reason).get());
                out.labelled(&[reason.as_str()], count);
            }
        },
    ),
    counter(
        "weir_requests_cancelled_total",
        &[],
        "Requests that were cancelled before their decision.",
        |scrape, out| out.value(scrape.metrics.sum(|t| t.cancelled.get())),
    ),
    gauge(
        "weir_connections",
        &["worker"],
        "Open gRPC connections of a worker.",
        |scrape, out| {
            for (worker, connections) in scrape.metrics.connections().iter().enumerate() {
                out.labelled(&[&worker.to_string()], connections);
            }
        },
    ),
    counter(
        "weir_http_connections_closed_total",
        &[],
        "HTTP connections that were closed because there were too many; the oldest goes first.",
        |scrape, out| out.value(scrape.metrics.http_connections_closed()),
    ),
    counter(
        "weir_http_rejections_total",
        &["status"],
        "HTTP requests that were rejected, by status: 404 is an unknown path, 405 another method, 403 an unknown host or a missing permission, 401 a wrong token, 431 a head of more than 64 KiB.",
        |scrape, out| {
            for (status, count) in scrape.metrics.http_rejections.counts() {
                out.labelled(&[&status.to_string()], count);
            }
        },
    ),
    gauge(
        "weir_tls_certificate_expiry_timestamp_seconds",
        &["port", "file"],
        "Unix time at which the first certificate of a file expires: the port's certificate and its chain, or client_ca.",
        |scrape, out| {
            for port in ServerPort::ALL {
                scrape.metrics.certificates[port as usize].expiry_samples(port, out);
            }
        },
    ),
    counter(
        "weir_tls_certificate_loads_total",
        &["port", "outcome"],
        "Loads of a port's certificate: success, or failure if the previous certificate stays in force.",
        |scrape, out| {
            for port in ServerPort::ALL {
                scrape.metrics.certificates[port as usize].load_samples(port, out);
            }
        },
    ),
];

/// gRPC status codes by number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
