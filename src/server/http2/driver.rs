//! Joins a connection's state to its socket, and to answers that take time.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::connection::{ConnectionEvent, Http2Connection};
use super::exchange::{ExchangeService, Exchanges};
use super::service::{Http2Service, LateAnswer, LateFuture};
use super::status::{GrpcStatus, code};

/// Bytes that are read at once. One buffer serves all connections of a thread, so that an idle
/// connection has none.
const READ_BYTES: usize = 64 * 1024;

/// Reads before the other connections of the thread get their turn.
const MAX_READS: u32 = 8;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Serves a connection until it ends. When `stop` is ready, the client is asked to go.
///
/// # Errors
/// When the socket fails.
pub async fn serve<IO, S, X>(
    io: IO,
    connection: Http2Connection<S>,
    exchanges: X,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Http2Service + Unpin,
    S::Receipt: Send + Unpin + 'static,
    X: ExchangeService,
{
    let next = connection.next_tick().into();
    let mut driver = ConnectionDriver {
        io,
        connection,
        late: FuturesUnordered::new(),
        aborts: HashMap::default(),
        exchanges: Exchanges::new(exchanges),
        is_flushed: true,
    };
    let mut stop = pin!(stop);
    let mut is_stopping = false;
    let mut timer = pin!(sleep_until(next));
    poll_fn(|cx| {
        if !is_stopping && stop.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            driver.connection.shut_down(now());
        }
        driver.poll(cx, timer.as_mut())
    })
    .await
}

/// An answer that takes time, of a stream.
struct LateCall<R> {
    stream: u32,
    answer: Abortable<LateFuture<R>>,
}

impl<R> Future for LateCall<R> {
    /// The answer is `None` when nobody waits for it any more.
    type Output = (u32, Option<LateAnswer<R>>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready((self.stream, answer.ok()))
    }
}

struct ConnectionDriver<IO, S: Http2Service, X: ExchangeService> {
    io: IO,
    connection: Http2Connection<S>,
    late: FuturesUnordered<LateCall<S::Receipt>>,
    /// By stream: how to drop an answer that is no longer wanted.
    aborts: HashMap<u32, AbortHandle, foldhash::fast::RandomState>,
    exchanges: Exchanges<X>,
    /// Whether everything that was written was flushed.
    is_flushed: bool,
}

impl<IO, S, X> ConnectionDriver<IO, S, X>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Http2Service + Unpin,
    S::Receipt: Send + Unpin + 'static,
    X: ExchangeService,
{
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<io::Result<()>> {
        let mut reads = 0;
        loop {
            self.poll_answers(cx);
            self.poll_write(cx)?;
            if self.connection.is_closed() && self.connection.unwritten().is_empty() {
                // A client that keeps a TLS session from its end is not waited for.
                let is_over = self.poll_close(cx).is_ready() || timer.poll(cx).is_ready();
                return if is_over {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            if self.connection.wants_input() {
                if reads == MAX_READS {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                reads += 1;
                match self.poll_read(cx)? {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) => return Poll::Ready(Ok(())),
                    Poll::Pending => {}
                }
            }
            if self.connection.has_events() {
                continue;
            }
            let next = self.connection.next_tick().into();
            if next < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            ready!(timer.as_mut().poll(cx));
            self.connection.tick(now());
        }
    }

    /// Takes answers that are ready, and hands out what is to be done.
    fn poll_answers(&mut self, cx: &mut Context<'_>) {
        loop {
            for event in self.connection.take_events() {
                self.handle(event);
            }
            while !self.late.is_empty() {
                let Poll::Ready(Some((stream, answer))) = Pin::new(&mut self.late).poll_next(cx)
                else {
                    break;
                };
                self.aborts.remove(&stream);
                if let Some(answer) = answer {
                    self.connection.answer(stream, answer);
                }
            }
            self.exchanges.poll(cx, &mut self.connection);
            if !self.connection.has_events() {
                return;
            }
        }
    }

    fn handle(&mut self, event: ConnectionEvent<S::Receipt>) {
        match event {
            ConnectionEvent::Later {
                stream,
                future,
                deadline,
            } => {
                let future = match deadline {
                    Some(deadline) => Box::pin(in_time(future, Instant::from_std(deadline))),
                    None => future,
                };
                let (handle, registration) = AbortHandle::new_pair();
                self.aborts.insert(stream, handle);
                self.late.push(LateCall {
                    stream,
                    answer: Abortable::new(future, registration),
                });
            }
            ConnectionEvent::Cancelled { stream } => {
                if let Some(handle) = self.aborts.remove(&stream) {
                    handle.abort();
                }
                self.exchanges.cancel(stream);
            }
            ConnectionEvent::Exchange { stream, head } => {
                self.exchanges.begin(stream, &head, &mut self.connection);
            }
            ConnectionEvent::Data { stream, bytes } => self.exchanges.push(stream, bytes),
            ConnectionEvent::End { stream } => self.exchanges.end(stream),
            ConnectionEvent::Room { stream } => self.exchanges.resume(stream),
        }
    }

    /// Writes until all is written, or the socket is full.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let bytes = self.connection.unwritten();
            if bytes.is_empty() {
                break;
            }
            match Pin::new(&mut self.io).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    self.is_flushed = false;
                    let was_full = !self.connection.wants_input();
                    self.connection.wrote(written?, now());
                    if was_full && self.connection.wants_input() {
                        self.connection.resume(now());
                    }
                }
                Poll::Pending => return Ok(()),
            }
        }
        if !self.is_flushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(cx)
        {
            flushed?;
            self.is_flushed = true;
        }
        Ok(())
    }

    /// Reads and processes once; false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            if !read.is_empty() {
                self.connection.receive(read, now());
            }
            Poll::Ready(Ok(!read.is_empty()))
        })
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// An answer, or the news that the client no longer waits for it.
async fn in_time<R>(future: LateFuture<R>, deadline: Instant) -> LateAnswer<R> {
    match timeout_at(deadline, future).await {
        Ok(answer) => answer,
        Err(_) => {
            let text = "the client's deadline passed before the answer was known";
            LateAnswer::Failed(GrpcStatus::new(code::DEADLINE_EXCEEDED, text))
        }
    }
}

/// The time of connections: tokio's clock, which tests can stop.
pub fn now() -> std::time::Instant {
    Instant::now().into_std()
}
