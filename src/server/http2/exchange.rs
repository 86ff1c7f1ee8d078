//! Services that have bodies, such as health checks and reflection, on a connection of this layer.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};
use http_body::{Body, Frame};

use super::connection::Http2Connection;
use super::frame::ErrorCode;
use super::head::ExchangeHead;
use super::service::Http2Service;

/// Exchanges of a connection that may be open at once. Health checks and reflection need a few; all
/// of them are polled whenever one may have something to do.
const MAX_EXCHANGES: usize = 100;

/// A body's error that says only that the client gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCancelled;

impl std::fmt::Display for CallCancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client gave up the call")
    }
}

impl std::error::Error for CallCancelled {}

/// A service of requests with bodies: a [`tower_service::Service`] that is always ready and never fails.
pub trait ExchangeService {
    /// The body of responses.
    type ResponseBody: Body<Data = Bytes> + 'static;
    /// The response to come.
    type Future: Future<Output = Result<http::Response<Self::ResponseBody>, Infallible>> + 'static;

    /// Begins to answer.
    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future;
}

impl<T, B> ExchangeService for T
where
    T: tower_service::Service<
            http::Request<RequestBody>,
            Response = http::Response<B>,
            Error = Infallible,
        >,
    T::Future: 'static,
    B: Body<Data = Bytes> + 'static,
{
    type ResponseBody = B;
    type Future = T::Future;

    fn call(&mut self, request: http::Request<RequestBody>) -> T::Future {
        tower_service::Service::call(self, request)
    }
}

/// The body of a request, filled by its connection.
#[derive(Debug)]
pub struct RequestBody(Arc<Mutex<BodyPipe>>);

/// What connection and service share of a request.
#[derive(Debug, Default)]
struct BodyPipe {
    parts: VecDeque<Bytes>,
    is_ended: bool,
    is_cancelled: bool,
    /// Bytes that the service took and the client may send again.
    taken: usize,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

fn lock(pipe: &Mutex<BodyPipe>) -> MutexGuard<'_, BodyPipe> {
    // Nothing panics while it has the lock.
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CallCancelled;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallCancelled>>> {
        let mut pipe = lock(&self.0);
        if let Some(part) = pipe.parts.pop_front() {
            pipe.taken += part.len();
            if let Some(connection) = pipe.connection.take() {
                connection.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match (pipe.is_ended, pipe.is_cancelled) {
            (true, _) => Poll::Ready(None),
            (false, true) => Poll::Ready(Some(Err(CallCancelled))),
            (false, false) => {
                pipe.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let pipe = lock(&self.0);
        pipe.is_ended && pipe.parts.is_empty()
    }
}

/// The exchanges of one connection.
pub(super) struct Exchanges<X: ExchangeService> {
    service: X,
    open: HashMap<u32, OpenExchange<X>>,
}

struct OpenExchange<X: ExchangeService> {
    pipe: Arc<Mutex<BodyPipe>>,
    stage: ExchangeStage<X>,
}

enum ExchangeStage<X: ExchangeService> {
    Response(Pin<Box<X::Future>>),
    Body {
        body: Pin<Box<X::ResponseBody>>,
        /// Whether the last part has found room.
        has_room: bool,
    },
}

impl<X: ExchangeService> Exchanges<X> {
    pub(super) fn new(service: X) -> Self {
        Self {
            service,
            open: HashMap::new(),
        }
    }

    pub(super) fn begin<S: Http2Service>(
        &mut self,
        stream: u32,
        head: &ExchangeHead,
        connection: &mut Http2Connection<S>,
    ) {
        let pipe = Arc::<Mutex<BodyPipe>>::default();
        let request = match request(head, RequestBody(Arc::clone(&pipe))) {
            Some(request) if self.open.len() < MAX_EXCHANGES => request,
            _ => return connection.send_reset(stream, ErrorCode::RefusedStream),
        };
        let stage = ExchangeStage::Response(Box::pin(self.service.call(request)));
        self.open.insert(stream, OpenExchange { pipe, stage });
    }

    pub(super) fn push(&mut self, stream: u32, bytes: Vec<u8>) {
        self.change(stream, |pipe| pipe.parts.push_back(bytes.into()));
    }

    pub(super) fn end(&mut self, stream: u32) {
        self.change(stream, |pipe| pipe.is_ended = true);
    }

    pub(super) fn cancel(&mut self, stream: u32) {
        self.change(stream, |pipe| pipe.is_cancelled = true);
        self.open.remove(&stream);
    }

    pub(super) fn resume(&mut self, stream: u32) {
        if let Some(OpenExchange {
            stage: ExchangeStage::Body { has_room, .. },
            ..
        }) = self.open.get_mut(&stream)
        {
            *has_room = true;
        }
    }

    fn change(&mut self, stream: u32, change: impl FnOnce(&mut BodyPipe)) {
        if let Some(exchange) = self.open.get(&stream) {
            let mut pipe = lock(&exchange.pipe);
            change(&mut pipe);
            if let Some(reader) = pipe.reader.take() {
                reader.wake();
            }
        }
    }

    /// Lets every exchange go as far as it can.
    pub(super) fn poll<S: Http2Service>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Http2Connection<S>,
    ) {
        self.open.retain(|&stream, exchange| {
            let is_open = exchange.poll(cx, stream, connection);
            let mut pipe = lock(&exchange.pipe);
            connection.release(stream, std::mem::take(&mut pipe.taken));
            match is_open {
                true => pipe.connection = Some(cx.waker().clone()),
                false => pipe.is_cancelled = true,
            }
            is_open
        });
    }
}

impl<X: ExchangeService> OpenExchange<X> {
    /// False when the exchange is over.
    fn poll<S: Http2Service>(
        &mut self,
        cx: &mut Context<'_>,
        stream: u32,
        connection: &mut Http2Connection<S>,
    ) -> bool {
        if let ExchangeStage::Response(future) = &mut self.stage {
            let Poll::Ready(Ok(response)) = future.as_mut().poll(cx) else {
                return true;
            };
            let (head, body) = response.into_parts();
            let is_end = body.is_end_stream();
            let fields = fields(&head.headers);
            connection.send_head(stream, head.status.as_u16(), &fields, is_end);
            if is_end {
                return false;
            }
            self.stage = ExchangeStage::Body {
                body: Box::pin(body),
                has_room: true,
            };
        }
        let ExchangeStage::Body { body, has_room } = &mut self.stage else {
            return true;
        };
        if !*has_room {
            return true;
        }
        let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else {
            return true;
        };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    // The next part follows when this one has found room, which may be at once.
                    *has_room = false;
                    connection.send_data(stream, data.into());
                    true
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    connection.send_trailers(stream, &fields(&trailers));
                    false
                }
            },
            Some(Err(_)) => {
                connection.send_reset(stream, ErrorCode::Internal);
                false
            }
            None => {
                connection.send_end(stream);
                false
            }
        }
    }
}

fn fields(headers: &http::HeaderMap) -> Vec<(&[u8], &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
        .collect()
}

/// The request of a head; `None` when its path is not one.
fn request(head: &ExchangeHead, body: RequestBody) -> Option<http::Request<RequestBody>> {
    let uri = http::Uri::try_from(&head.path[..]).ok()?;
    let mut request = http::Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    for (name, value) in &head.fields {
        let pair = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = pair {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}
