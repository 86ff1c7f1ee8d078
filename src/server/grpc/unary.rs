//! One unary call as gRPC has it on HTTP/2: a message comes, a message and a status go.
//!
//! tonic's own way takes a stream of messages apart and puts one together for each call, with buffers for both and
//! boxes between; `docs/decisions/` says what that costs.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use prost::Message;
use tonic::Status;
use tonic::body::Body;

use super::answer::{GrantedResponse, UnsentGrant};
use crate::proto::envoy::service::ratelimit::v3::RateLimitResponse;

/// A byte that says "not compressed", and four of length.
const PREFIX_BYTES: usize = 5;

/// The longest message that is taken: gRPC's usual limit.
const MAX_BYTES: usize = 4 * 1024 * 1024;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const OK: HeaderValue = HeaderValue::from_static("0");

/// Reads the message of a request.
///
/// # Errors
/// When it is compressed, too long, cut short, or not the only one.
pub(super) async fn read(request: http::Request<Body>) -> Result<Bytes, Status> {
    let encoding = request.headers().get(GRPC_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Status::unimplemented("compressed messages are not taken"));
    }
    let mut body = request.into_body();
    let Some(first) = data(&mut body).await? else {
        return Err(Status::internal("the message is missing"));
    };
    let mut wanted = length(&first)?;
    // Nearly every message comes in one piece, which is taken as it is.
    let message = match data(&mut body).await? {
        None => first,
        Some(second) => {
            let mut joined = BytesMut::from(&first[..]);
            let mut next = Some(second);
            while let Some(piece) = next {
                joined.extend_from_slice(&piece);
                wanted = length(&joined)?;
                if wanted.is_some_and(|wanted| joined.len() > PREFIX_BYTES + wanted) {
                    break;
                }
                next = data(&mut body).await?;
            }
            joined.freeze()
        }
    };
    let message = message.slice(message.len().min(PREFIX_BYTES)..);
    match wanted {
        Some(wanted) if wanted == message.len() => Ok(message),
        Some(wanted) if wanted < message.len() => {
            Err(Status::internal("more than one message was sent"))
        }
        _ => Err(Status::internal("the message is cut short")),
    }
}

/// The next piece of a body; none at its end.
async fn data(body: &mut Body) -> Result<Option<Bytes>, Status> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(bytes)) if bytes.is_empty() => {}
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            // Trailers of a request say nothing to us.
            Some(Err(_)) => {}
            None => return Ok(None),
        }
    }
}

/// How long the message is, once that has come.
fn length(gathered: &[u8]) -> Result<Option<usize>, Status> {
    let Some(mut prefix) = gathered.get(..PREFIX_BYTES) else {
        return Ok(None);
    };
    if prefix.get_u8() != 0 {
        return Err(Status::internal(
            "a compressed message, and no grpc-encoding",
        ));
    }
    let length = prefix.get_u32() as usize;
    if length > MAX_BYTES {
        return Err(Status::out_of_range(format!(
            "the message is too large: {length} bytes, where {MAX_BYTES} are taken"
        )));
    }
    Ok(Some(length))
}

/// A response that holds that message, or says what is wrong.
pub(super) fn respond(answer: Result<GrantedResponse, Status>) -> http::Response<ResponseBody> {
    match answer {
        Ok(answer) => {
            let mut response = http::Response::new(ResponseBody::Message(answer));
            response.headers_mut().insert(CONTENT_TYPE, GRPC);
            response
        }
        Err(status) => status
            .into_http::<EmptyBody>()
            .map(|EmptyBody| ResponseBody::Empty),
    }
}

/// What status-only responses have for a body.
#[derive(Default)]
struct EmptyBody;

/// The body of a response.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are answers, which a box would only make slower"
)]
#[derive(Debug)]
pub enum ResponseBody {
    /// The message, and then the status.
    Message(GrantedResponse),
    /// The message was asked for, and what it grants; the status is asked for when the message has left.
    Status(UnsentGrant),
    /// All was sent.
    Empty,
    /// Of a service that is tonic's.
    Other(Body),
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let reply = self.get_mut();
        let frame = match std::mem::replace(reply, Self::Empty) {
            Self::Message(answer) => {
                let (message, unsent) = answer.into_parts();
                *reply = Self::Status(unsent);
                Frame::data(encode(&message))
            }
            Self::Status(unsent) => {
                unsent.forget();
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(GRPC_STATUS, OK);
                Frame::trailers(trailers)
            }
            Self::Empty => return Poll::Ready(None),
            Self::Other(mut body) => {
                let frame = Pin::new(&mut body).poll_frame(cx);
                *reply = Self::Other(body);
                return frame;
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Message(_) | Self::Status(_) => false,
            Self::Empty => true,
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Other(body) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

fn encode(message: &RateLimitResponse) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + length);
    bytes.push(0);
    // An answer is far below 4 GiB: it has at most as many statuses as a request may have descriptors.
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    // A vector always has room.
    let _ = message.encode(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tonic::Code;

    use super::*;

    /// A body that comes in pieces.
    struct Pieces(VecDeque<Frame<Bytes>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn data_frames(pieces: &[&[u8]]) -> VecDeque<Frame<Bytes>> {
        let frame = |piece: &&[u8]| Frame::data(Bytes::copy_from_slice(piece));
        pieces.iter().map(frame).collect()
    }

    async fn read_pieces(pieces: &[&[u8]]) -> Result<Bytes, Code> {
        let body = Body::new(Pieces(data_frames(pieces)));
        let request = http::Request::new(body);
        read(request).await.map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_message_is_read_however_it_is_cut() {
        let whole = b"\0\0\0\0\x03abc";
        for cut in 0..=whole.len() {
            let (head, tail) = whole.split_at(cut);
            let read = read_pieces(&[head, b"", tail]).await;
            assert_eq!(read.as_deref(), Ok(&b"abc"[..]), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read_pieces(&bytes).await.as_deref(), Ok(&b"abc"[..]));
        assert_eq!(read_pieces(&[b"\0\0\0\0\0"]).await.as_deref(), Ok(&b""[..]));
    }

    #[tokio::test]
    async fn what_is_no_single_message_is_refused() {
        for (pieces, code) in [
            (&[][..], Code::Internal),
            (&[&b"\0\0\0"[..]], Code::Internal),
            (&[b"\0\0\0\0\x03ab"], Code::Internal),
            (&[b"\0\0\0\0\x03", b"ab"], Code::Internal),
            (&[b"\0\0\0\0\x03abcd"], Code::Internal),
            (&[b"\0\0\0\0\x03abc", b"\0\0\0\0\x03abc"], Code::Internal),
            (&[b"\x01\0\0\0\x03abc"], Code::Internal),
            (&[b"\x02\0\0\0\x03abc"], Code::Internal),
            (&[b"\0\0\x40\0\x01"], Code::OutOfRange),
            (&[b"\0\xff", b"\xff\xff\xff"], Code::OutOfRange),
        ] {
            assert_eq!(read_pieces(pieces).await, Err(code), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn trailers_of_a_request_are_passed_by() {
        let mut frames = data_frames(&[b"\0\0\0\0\x01a"]);
        frames.push_back(Frame::trailers(HeaderMap::new()));
        let request = http::Request::new(Body::new(Pieces(frames)));
        assert_eq!(read(request).await.unwrap(), "a");
    }

    #[tokio::test]
    async fn compressed_messages_are_refused_and_identity_is_not() {
        for (encoding, expected) in [
            ("gzip", Err(Code::Unimplemented)),
            ("identity", Ok(Bytes::from_static(b"a"))),
        ] {
            let body = Body::new(Pieces(data_frames(&[b"\0\0\0\0\x01a"])));
            let mut request = http::Request::new(body);
            let encoding = HeaderValue::from_static(encoding);
            request.headers_mut().insert(GRPC_ENCODING, encoding);
            let read = read(request).await.map_err(|status| status.code());
            assert_eq!(read, expected);
        }
    }

    /// All frames of a body.
    async fn frames(
        mut body: impl http_body::Body<Data = Bytes, Error = Status> + Unpin,
    ) -> Vec<Frame<Bytes>> {
        let mut frames = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            frames.push(frame.unwrap());
        }
        assert!(body.is_end_stream());
        frames
    }

    #[tokio::test]
    async fn an_answer_is_a_message_and_a_status() {
        let message = RateLimitResponse {
            overall_code: 1,
            ..RateLimitResponse::default()
        };
        let response = respond(Ok(GrantedResponse::new(message, None)));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
        let frames = frames(response.into_body()).await;
        let [message, status] = &frames[..] else {
            panic!("{frames:?}");
        };
        assert_eq!(message.data_ref().unwrap(), &b"\0\0\0\0\x02\x08\x01"[..]);
        assert_eq!(status.trailers_ref().unwrap()[GRPC_STATUS], "0");
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_alone() {
        let response = respond(Err(Status::invalid_argument("no domain")));
        assert_eq!(response.headers()[GRPC_STATUS], "3");
        assert_eq!(response.headers()["grpc-message"], "no%20domain");
        assert!(frames(response.into_body()).await.is_empty());
    }
}
