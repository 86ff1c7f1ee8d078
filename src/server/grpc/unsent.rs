//! What an answer grants is given back if nobody is told of it.
//!
//! The client may go away while its answer waits for its turn, or for room in the client's window: then hyper drops the
//! answer's body before it was read to its end. A body that was read is on its way, as far as a server can know; what a
//! client holds that never saw it ends by itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use crate::engine::{Engine, Grant};

/// What was granted; goes with the answer, and gives it back when dropped unsent.
#[derive(Clone, Debug)]
pub(super) struct Unsent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    grant: Grant,
    is_sent: AtomicBool,
}

impl Unsent {
    pub(super) fn new(engine: Arc<Engine>, grant: Grant) -> Self {
        Self(Arc::new(Inner {
            engine,
            grant,
            is_sent: AtomicBool::new(false),
        }))
    }

    fn is_sent(&self) {
        self.0.is_sent.store(true, Ordering::Relaxed);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !*self.is_sent.get_mut() {
            self.engine.give_back(&self.grant);
        }
    }
}

/// A service whose answers carry what they grant, until they are sent.
#[derive(Clone, Debug)]
pub(super) struct GiveBack<S>(pub(super) S);

impl<S: NamedService> NamedService for GiveBack<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, E> Service<http::Request<Body>> for GiveBack<S>
where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = E,
            Future = BoxFuture<http::Response<Body>, E>,
        >,
{
    type Response = http::Response<Body>;
    type Error = E;
    type Future = Answering<E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Answering<E> {
        Answering(self.0.call(request))
    }
}

/// An answer in the making.
pub(super) struct Answering<E>(BoxFuture<http::Response<Body>, E>);

impl<E> Future for Answering<E> {
    type Output = Result<http::Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(self.0.as_mut().poll(cx))?;
        let Some(unsent) = answer.extensions_mut().remove::<Unsent>() else {
            return Poll::Ready(Ok(answer));
        };
        let sending = |body| Body::new(Sending { body, unsent });
        Poll::Ready(Ok(answer.map(sending)))
    }
}

/// A body that is sent when it was read to its end.
struct Sending {
    body: Body,
    unsent: Unsent,
}

impl http_body::Body for Sending {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // Trailers are asked for when the message has left.
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.unsent.is_sent();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
