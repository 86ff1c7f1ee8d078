//! A connection whose client sends anything, cut anywhere, at any time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use weir::server::http2::{
    ByteBudget, CallHead, CallOutcome, CallRoute, ConnectionEvent, GrpcStatus, Http2Connection,
    Http2Limits, Http2Service, LateAnswer, Receipt, Rejection,
};

/// What the connection may have unsent beyond its limit: the answers to one frame.
const SLACK: usize = 100_000;

struct FuzzService;

struct FuzzReceipt;

impl Receipt for FuzzReceipt {
    fn sent(self) {}
}

impl Http2Service for FuzzService {
    type Receipt = FuzzReceipt;

    fn route(&mut self, path: &[u8]) -> CallRoute {
        match path.last() {
            Some(b'x') => CallRoute::Exchange,
            Some(b'?') => CallRoute::Unknown,
            last => CallRoute::Unary(last.copied().unwrap_or_default()),
        }
    }

    fn call(
        &mut self,
        head: &CallHead,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> CallOutcome<FuzzReceipt> {
        match head.method % 3 {
            0 => CallOutcome::Failed(GrpcStatus::new(3, "no")),
            1 => {
                let answer = LateAnswer::Message(message.to_vec(), Some(FuzzReceipt));
                CallOutcome::Later(Box::pin(std::future::ready(answer)))
            }
            _ => {
                out.extend_from_slice(message);
                CallOutcome::Message(Some(FuzzReceipt))
            }
        }
    }

    fn rejected(&mut self, _: Rejection) {}
}

/// A connection keeps its promises whatever its client sends. The first bytes choose how the rest is cut.
pub fn http2(data: &[u8]) {
    let Some((&[cut, pause], data)) = data.split_first_chunk() else {
        return;
    };
    let limits = Http2Limits {
        max_unsent_bytes: 20_000,
        max_blocked_bytes: 20_000,
        max_streams: 50,
        ..Http2Limits::default()
    };
    let budget = ByteBudget::new(1 << 20);
    let mut now = tokio::time::Instant::now().into_std();
    let mut connection = Http2Connection::new(FuzzService, Arc::new(limits.clone()), &budget, now);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    if cut & 1 == 0 {
        connection.receive(preface, now);
    }
    for piece in data.chunks(1 + usize::from(cut) * 8) {
        connection.receive(piece, now);
        assert!(connection.unwritten().len() <= limits.max_unsent_bytes + SLACK);
        assert!(connection.open_calls() <= limits.max_streams);
        serve(&mut connection);
        now += Duration::from_millis(u64::from(pause) * 10);
        connection.tick(now);
        assert!(connection.is_closed() || connection.next_tick() > now);
        // A client that reads a part of what it is sent.
        let unwritten = connection.unwritten().len();
        connection.wrote(unwritten - unwritten / 3, now);
        connection.resume(now);
    }
    connection.shut_down(now);
    for _ in 0..200 {
        now += Duration::from_secs(1);
        serve(&mut connection);
        connection.wrote(connection.unwritten().len(), now);
        connection.resume(now);
        connection.tick(now);
    }
    assert!(connection.is_closed(), "a drained connection does not end");
    drop(connection);
    assert_eq!(budget.used(), 0);
}

/// Answers what takes time at once, and gives up exchanges.
fn serve(connection: &mut Http2Connection<FuzzService>) {
    for event in connection.take_events() {
        match event {
            ConnectionEvent::Later {
                stream, mut future, ..
            } => {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                    connection.answer(stream, answer);
                }
            }
            ConnectionEvent::Exchange { stream, .. } => {
                connection.send_head(stream, 200, &[(b"a", b"b")], false);
                connection.send_data(stream, vec![0; 30_000]);
                connection.send_trailers(stream, &[(b"grpc-status", b"0")]);
            }
            ConnectionEvent::Data { stream, bytes } => connection.release(stream, bytes.len()),
            ConnectionEvent::End { .. }
            | ConnectionEvent::Room { .. }
            | ConnectionEvent::Cancelled { .. } => {}
        }
    }
}
