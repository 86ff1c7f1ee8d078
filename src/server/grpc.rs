//! The gRPC services: rate limits, health and reflection.

pub mod codec;
pub mod convert;
mod health;
mod rate_limit;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::service::Routes;

pub use health::Health;
pub use rate_limit::{RateLimitService, RateLimitServiceServer};

use crate::engine::Engine;
use crate::proto;
use rate_limit::RateLimit;

/// What a call waits for.
type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// All services, behind one door.
///
/// Rate limits are known by their path before anything is routed: axum's router, which tonic uses, costs a call a
/// sixteenth of all that it costs.
#[derive(Clone, Debug)]
pub struct Services {
    rate_limit: RateLimitServiceServer<RateLimit>,
    others: Routes,
}

impl Service<http::Request<Body>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answering {
        if is_of::<RateLimitServiceServer<RateLimit>>(request.uri().path()) {
            self.rate_limit.call(request)
        } else {
            Box::pin(self.others.call(request))
        }
    }
}

/// Whether a path, `/SERVICE/METHOD`, is of that service.
fn is_of<S: NamedService>(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    service.is_some_and(|(service, _)| service == S::NAME)
}

/// All services, to be cloned into each worker, and the switch of their health.
///
/// # Errors
/// When the protocol that was built into the program cannot be read.
pub async fn services(engine: Arc<Engine>) -> Result<(Services, Health), BrokenProtocol> {
    let (health, health_service) = Health::serving().await;
    let mut routes = Routes::builder();
    routes
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let services = Services {
        rate_limit: RateLimitServiceServer::new(RateLimit::new(engine)),
        others: routes.routes().prepare(),
    };
    Ok((services, health))
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
