//! The gRPC services: rate limits, health and reflection.

pub mod answer;
pub mod codec;
pub mod convert;
mod health;
mod rate_limit;

use std::fmt;
use std::sync::Arc;

use tonic::service::Routes;

pub use health::Health;
pub use rate_limit::{RateLimitService, RateLimitServiceServer};

use crate::engine::Engine;
use crate::proto;
use rate_limit::RateLimit;

/// All services, to be cloned into each worker, and the switch of their health.
///
/// # Errors
/// When the protocol that was built into the program cannot be read.
pub async fn services(engine: Arc<Engine>) -> Result<(Routes, Health), BrokenProtocol> {
    let (health, health_service) = Health::serving().await;
    let mut routes = Routes::builder();
    routes
        .add_service(RateLimitServiceServer::new(RateLimit::new(engine)))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok((routes.routes().prepare(), health))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// A fault of the build, not of the user.
#[derive(Debug)]
pub struct BrokenProtocol(tonic_reflection::server::Error);

impl From<tonic_reflection::server::Error> for BrokenProtocol {
    fn from(error: tonic_reflection::server::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for BrokenProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the protocol that is built in cannot be read")
    }
}

impl std::error::Error for BrokenProtocol {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
