//! Health and reflection: tonic's services, on weir's connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

use super::{DescriptorSetError, Health, health};
use crate::engine::Engine;
use crate::proto;
use crate::server::http2::exchange::RequestBody;

/// Services that are served, by the beginning of their paths.
const PREFIXES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Whether a path is of one of these services.
pub(super) fn is_served(path: &[u8]) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| path.starts_with(prefix.as_bytes()))
}

/// All services but the one that decides.
#[derive(Clone, Debug)]
pub struct OtherServices {
    engine: Arc<Engine>,
    routes: Routes,
}

impl OtherServices {
    /// The services, and the switch of their health.
    pub(super) async fn new(engine: Arc<Engine>) -> Result<(Self, Health), DescriptorSetError> {
        let (health, health_service) = Health::serving().await;
        let mut routes = Routes::builder();
        routes
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let routes = routes.routes().prepare();
        Ok((Self { engine, routes }, health))
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

impl Service<http::Request<RequestBody>> for OtherServices {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let trouble = match health::is_check(request.uri().path()) {
            true => self.engine.unavailable_reason(),
            false => None,
        };
        let response = self.routes.call(request);
        Box::pin(async {
            let mut response = response.await?;
            if let Some(trouble) = trouble {
                health::set_reason(response.headers_mut(), &trouble);
            }
            Ok(response)
        })
    }
}
