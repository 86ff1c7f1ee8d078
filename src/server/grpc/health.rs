//! The gRPC health service.

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// The names that can be asked for: the server as a whole, the name that the Go server uses, and the service's own.
const NAMES: [&str; 3] = ["", "ratelimit", super::RATE_LIMIT_SERVICE];

/// The unary method. Only its responses contain the reason; watchers receive the status alone.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Why Redis is unavailable. The protocol has no field for it.
const STORE_UNAVAILABLE: HeaderName = HeaderName::from_static("weir-store-unavailable");

/// Maximum length of the reason in bytes; some clients limit the size of headers.
const MAX_REASON: usize = 512;

/// Whether a path is that of a health check.
pub(super) fn is_check(path: &str) -> bool {
    path == CHECK
}

/// Puts into the headers of an answer what is wrong although weir serves: visible ASCII and blanks, as gRPC wants it.
pub(super) fn set_reason(headers: &mut HeaderMap, reason: &str) {
    let is_fit = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let fit = reason.bytes().filter(is_fit).take(MAX_REASON);
    // What is left is fit.
    if let Ok(value) = HeaderValue::from_bytes(&fit.collect::<Vec<u8>>()) {
        headers.insert(STORE_UNAVAILABLE, value);
    }
}

/// Sets the status that health checks report.
#[derive(Debug)]
pub struct Health(HealthReporter);

impl Health {
    /// A service that says SERVING, and its switch.
    pub(super) async fn serving() -> (Self, HealthServer<impl HealthApi>) {
        let (reporter, service) = health_reporter();
        for name in NAMES {
            reporter
                .set_service_status(name, ServingStatus::Serving)
                .await;
        }
        (Self(reporter), service)
    }

    /// From now on SERVING or NOT_SERVING, for watchers too.
    pub async fn report(&self, is_serving: bool) {
        let status = match is_serving {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in NAMES {
            self.0.set_service_status(name, status).await;
        }
    }

    /// Ends the watchers' streams, which would keep their connections open for ever.
    pub async fn end(mut self) {
        for name in NAMES {
            self.0.clear_service_status(name).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_reduced_to_visible_ascii() {
        let mut headers = HeaderMap::new();
        set_reason(&mut headers, "OOM: command not allowed\r\nübergroß\0");
        assert_eq!(headers[STORE_UNAVAILABLE], "OOM: command not allowedbergro");
        set_reason(&mut headers, &"x".repeat(10_000));
        assert_eq!(headers[STORE_UNAVAILABLE].len(), MAX_REASON);
    }
}
