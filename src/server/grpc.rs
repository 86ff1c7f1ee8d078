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

/// All services, once for each worker, and the switch of their health. With `request_metadata` each response describes
/// its request.
///
/// # Errors
/// When the protocol that was built into the program cannot be read.
pub async fn services(
    engine: &Arc<Engine>,
    (recorders, traces): (&[Recorder], Option<&Arc<Traces>>),
    request_metadata: bool,
) -> Result<(Vec<Services>, Health), DescriptorSetError> {
    let (others, health) = OtherServices::new(Arc::clone(engine)).await?;
    let services = recorders.iter().map(|recorder| Services {
        rate_limit: RateLimit::new(WorkerContext {
            engine: Arc::clone(engine),
            recorder: recorder.clone(),
            traces: traces.cloned(),
            request_metadata,
        }),
        others: others.clone(),
    });
    Ok((services.collect(), health))
}

/// The built-in protocol descriptors are invalid, which is a fault of the build.
#[derive(Debug, Error)]
#[error("the built-in protocol descriptors are invalid")]
pub struct DescriptorSetError(#[from] tonic_reflection::server::Error);
