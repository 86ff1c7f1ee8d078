//! Workers: threads that each run their own connections on a runtime of their own.
//!
//! On two cores this answered 282–287 k calls a second where tokio's multi-thread runtime answered 150 k: a call
//! never changes its thread. SO_REUSEPORT is a little faster still, but leaves workers idle when connections are few,
//! and Envoy opens only one per thread of its own.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use super::Config;
use super::connection::{Connection, Seat, Socket};

/// How long calls may take to end once clients were asked to go.
const GRACE: Duration = Duration::from_secs(5);

/// What may be on its way to one call, and to all of a connection, before it is read.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// A client that gives up calls faster than they are taken is behind a stall, not an attack: Envoy's usual timeout is
/// 20 ms. h2's own limit of 20 drops the connection, and with it the calls that are in time.
const PENDING_RESETS: usize = 10_000;

/// A connection is pinged when it was silent so long …
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// … and dropped when the answer takes longer.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// All workers.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
    connections: watch::Sender<usize>,
    stop: CancellationToken,
    any_ended: CancellationToken,
    all_ended: mpsc::Receiver<Infallible>,
}

/// The acceptor's end of a worker.
#[derive(Debug)]
struct Worker {
    connections: Arc<AtomicUsize>,
    // Bounded by how many files the process may open: a worker takes what it finds here at once.
    sockets: mpsc::UnboundedSender<(Socket, Seat)>,
}

impl Workers {
    /// Starts the threads.
    pub(super) fn start(config: &Config, services: &Routes) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let any_ended = CancellationToken::new();
        let (alive, all_ended) = mpsc::channel(1);
        let mut workers = Vec::with_capacity(config.workers.get());
        for index in 0..config.workers.get() {
            let (sockets, incoming) = mpsc::unbounded_channel();
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let server = server(connection_age(config, index));
            let services = services.clone();
            let stop = stop.clone();
            let life = (any_ended.clone().drop_guard(), alive.clone());
            thread::Builder::new()
                .name(format!("weir-worker-{index}"))
                .spawn(move || {
                    runtime.block_on(serve(server, services, incoming, stop));
                    // Cuts off what is left before the worker counts as ended.
                    drop(runtime);
                    drop(life);
                })?;
            workers.push(Worker {
                connections: Arc::default(),
                sockets,
            });
        }
        Ok(Self {
            workers,
            connections: watch::Sender::new(0),
            stop,
            any_ended,
            all_ended,
        })
    }

    /// Gives a connection to the worker that has the fewest.
    pub(super) fn hand_over(&self, socket: Socket) {
        let fewest = self
            .workers
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        if let Some(worker) = fewest {
            let seat = Seat::take(&worker.connections, &self.connections);
            // A worker that is gone has already ended the server: the connection closes with it.
            let _ = worker.sockets.send((socket, seat));
        }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Ends when there is no connection.
    pub(super) async fn idle(&self) {
        let mut connections = self.connections.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = connections.wait_for(|&connections| connections == 0).await;
    }

    /// Ends when a worker has ended.
    pub(super) async fn failure(&self) {
        self.any_ended.cancelled().await;
    }

    /// Asks clients to go and gives calls [`GRACE`] to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends when all workers have ended.
    pub(super) async fn ended(&mut self) {
        if let Some(never) = self.all_ended.recv().await {
            match never {}
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// tonic knows one age for all connections of a server; each worker gets its own, spread over ±10 %, so that
/// connections that came together do not all go together.
fn connection_age(config: &Config, worker: usize) -> Option<Duration> {
    let workers = config.workers.get();
    let spread = match workers {
        1 => 1.0,
        _ => 0.9 + 0.2 * worker as f64 / (workers - 1) as f64,
    };
    config.max_connection_age.map(|age| age.mul_f64(spread))
}

fn server(connection_age: Option<Duration>) -> Server {
    let server = Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT));
    // No grace of tonic's: with one, it cuts connections off without asking them to go first (0.14.9).
    match connection_age {
        Some(age) => server.max_connection_age(age),
        None => server,
    }
}

async fn serve(
    mut server: Server,
    services: Routes,
    incoming: mpsc::UnboundedReceiver<(Socket, Seat)>,
    stop: CancellationToken,
) {
    let connections = UnboundedReceiverStream::new(incoming)
        .map(|(socket, seat)| Connection::new(socket, seat, stop.clone()));
    let served = server
        .add_routes(services)
        .serve_with_incoming_shutdown(connections, stop.cancelled());
    let cut_off = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        outcome = served => if let Err(error) = outcome {
            tracing::error!(error = &error as &dyn std::error::Error, "a worker has failed");
        },
        () = cut_off => tracing::warn!(
            grace_secs = GRACE.as_secs(),
            "calls or connections were still open and have been cut off"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn ages(workers: usize, age_secs: Option<u64>) -> Vec<Option<u64>> {
        let config = Config {
            workers: NonZeroUsize::new(workers).unwrap(),
            drain: Duration::ZERO,
            max_connection_age: age_secs.map(Duration::from_secs),
        };
        (0..workers)
            .map(|worker| connection_age(&config, worker).map(|age| age.as_secs()))
            .collect()
    }

    #[test]
    fn connections_of_different_workers_go_at_different_times() {
        assert_eq!(ages(3, Some(100)), [Some(90), Some(100), Some(110)]);
        assert_eq!(ages(1, Some(100)), [Some(100)]);
        assert_eq!(ages(2, None), [None, None]);
    }
}
