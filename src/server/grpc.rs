//! The gRPC services: rate limits, health and reflection.

mod answer;
mod codec;
pub mod convert;
mod health;
pub mod json;
mod other_services;
mod rate_limit;
mod request_metadata;

use std::sync::Arc;

use thiserror::Error;

pub use health::Health;
pub use other_services::OtherServices;
pub use rate_limit::RateLimit;

use crate::engine::Engine;
use crate::telemetry::{Recorder, Traces};
pub(crate) use rate_limit::NOT_COUNTED;
use rate_limit::WorkerContext;

/// The name of the service that decides.
const RATE_LIMIT_SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";

/// What a worker serves; each connection has a clone.
#[derive(Clone, Debug)]
pub struct Services {
    /// Decides.
    pub rate_limit: RateLimit,
    /// Health and reflection.
    pub others: OtherServices,
}

/// What the services of all workers are made of.
#[derive(Clone, Copy, Debug)]
pub struct ServiceParts<'p> {
    /// Decides.
    pub engine: &'p Arc<Engine>,
    /// One for each worker.
    pub recorders: &'p [Recorder],
    /// Creates spans; `None` if traces are not exported.
    pub traces: Option<&'p Arc<Traces>>,
    /// Whether each response describes its request.
    pub request_metadata: bool,
}

/// All services, once for each worker, and the switch of their health.
///
/// # Errors
/// When the protocol that was built into the program cannot be read.
pub async fn services(
    parts: ServiceParts<'_>,
) -> Result<(Vec<Services>, Health), DescriptorSetError> {
    let (others, health) = OtherServices::new(Arc::clone(parts.engine)).await?;
    let services = parts.recorders.iter().map(|recorder| Services {
        rate_limit: RateLimit::new(WorkerContext {
            engine: Arc::clone(parts.engine),
            recorder: recorder.clone(),
            traces: parts.traces.cloned(),
            request_metadata: parts.request_metadata,
        }),
        others: others.clone(),
    });
    Ok((services.collect(), health))
}

/// The built-in protocol descriptors are invalid, which is a fault of the build.
#[derive(Debug, Error)]
#[error("the built-in protocol descriptors are invalid")]
pub struct DescriptorSetError(#[from] tonic_reflection::server::Error);
