//! The gRPC services: rate limits, health and reflection.

mod answer;
mod codec;
pub mod convert;
mod health;
pub mod json;
mod rate_limit;
mod unary;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

pub use health::Health;

use crate::engine::Engine;
use crate::proto;
use crate::telemetry::{Recorder, Traces};
pub(crate) use rate_limit::NOT_COUNTED;
use rate_limit::RateLimit;
use unary::ResponseBody;

/// A response, as all services here have it.
type Response = http::Response<ResponseBody>;

/// All services, behind one door.
///
/// Rate limits are known by their path, before tonic routes and streams: both are made for more than one small message.
#[derive(Clone, Debug)]
pub struct Services {
    rate_limit: RateLimit,
    others: Routes,
}

impl Service<http::Request<Body>> for Services {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if rate_limit::method(request.uri().path()).is_some() {
            let answer = self.rate_limit.clone().answer(request);
            return Box::pin(async { Ok(unary::respond(answer.await)) });
        }
        let trouble = match health::is_check(request.uri().path()) {
            true => self.rate_limit.unavailable_reason(),
            false => None,
        };
        let response = self.others.call(request);
        Box::pin(async {
            let mut response = response.await?;
            if let Some(trouble) = trouble {
                health::set_reason(response.headers_mut(), &trouble);
            }
            Ok(response.map(ResponseBody::Other))
        })
    }
}

/// All services, once for each worker, and the switch of their health.
///
/// # Errors
/// When the protocol that was built into the program cannot be read.
pub async fn services(
    engine: &Arc<Engine>,
    (recorders, traces): (&[Recorder], Option<&Arc<Traces>>),
) -> Result<(Vec<Services>, Health), DescriptorSetError> {
    let (health, health_service) = Health::serving().await;
    let mut routes = Routes::builder();
    routes
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let others = routes.routes().prepare();
    let services = recorders.iter().map(|recorder| Services {
        rate_limit: RateLimit::new(Arc::clone(engine), recorder.clone(), traces.cloned()),
        others: others.clone(),
    });
    Ok((services.collect(), health))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// A fault of the build, not of the user.
#[derive(Debug)]
pub struct DescriptorSetError(tonic_reflection::server::Error);

impl From<tonic_reflection::server::Error> for DescriptorSetError {
    fn from(error: tonic_reflection::server::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for DescriptorSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the protocol that is built in cannot be read")
    }
}

impl std::error::Error for DescriptorSetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
