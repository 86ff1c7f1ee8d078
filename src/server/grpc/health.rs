//! What weir says of itself to health checks.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// The names that can be asked for: the server as a whole, the name that the Go server uses, and the service's own.
const NAMES: [&str; 3] = ["", "ratelimit", super::rate_limit::SERVICE_NAME];

/// Sets what health checks are told.
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

    /// From now on NOT_SERVING, for watchers too.
    pub async fn leave(&self) {
        for name in NAMES {
            self.0
                .set_service_status(name, ServingStatus::NotServing)
                .await;
        }
    }

    /// Ends the watchers' streams, which would keep their connections open for ever.
    pub async fn end(mut self) {
        for name in NAMES {
            self.0.clear_service_status(name).await;
        }
    }
}
