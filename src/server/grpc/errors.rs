//! Counts the calls that are answered with an error, whatever found it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use crate::telemetry::Recorder;

/// What tonic puts into the headers of an answer that is nothing but an error.
const STATUS: &str = "grpc-status";

/// A service whose errors are counted.
#[derive(Clone, Debug)]
pub(super) struct Errors<S> {
    inner: S,
    recorder: Arc<Recorder>,
}

impl<S> Errors<S> {
    pub(super) fn new(inner: S, recorder: Arc<Recorder>) -> Self {
        Self { inner, recorder }
    }
}

impl<S: NamedService> NamedService for Errors<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = BoxFuture<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Errors<S>
where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = Answer,
        >,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Counted;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Counted {
        Counted {
            answer: self.inner.call(request),
            recorder: Arc::clone(&self.recorder),
        }
    }
}

/// An answer that is on its way.
pub(super) struct Counted {
    answer: Answer,
    recorder: Arc<Recorder>,
}

impl Future for Counted {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.answer.as_mut().poll(cx);
        if let Poll::Ready(Ok(response)) = &answer
            && let Some(status) = response.headers().get(STATUS)
        {
            let code = status.to_str().ok().and_then(|code| code.parse().ok());
            self.recorder.failed(code.unwrap_or(usize::MAX));
        }
        answer
    }
}
