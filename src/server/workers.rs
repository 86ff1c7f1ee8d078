//! Workers: threads that each run their own connections on a runtime of their own.
//!
//! On two cores this answered 282–287 k calls a second where tokio's multi-thread runtime answered 150 k: a call
//! never changes its thread. SO_REUSEPORT is a little faster still, but leaves workers idle when connections are few,
//! and Envoy opens only one per thread of its own.

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
use tonic::transport::Server;

use super::connection::{Connection, ConnectionGuard, Socket};
use super::grpc::Services;
use super::{Config, Shutdown};

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
    all_ended: mpsc::UnboundedReceiver<CutOff>,
}

/// What a worker says if it could not end in good order.
#[derive(Debug)]
struct CutOff;

/// The acceptor's end of a worker.
#[derive(Debug)]
struct Worker {
    connections: Arc<AtomicUsize>,
    // Bounded by how many files the process may open: a worker takes what it finds here at once.
    sockets: mpsc::UnboundedSender<(Socket, ConnectionGuard)>,
}

impl Workers {
    /// Starts a thread for each of these services, and counts its connections there; each runs `prepare` on its runtime
    /// before all else.
    pub(super) fn start(
        config: &Config,
        services: Vec<(Services, Arc<AtomicUsize>)>,
        prepare: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let any_ended = CancellationToken::new();
        let (alive, all_ended) = mpsc::unbounded_channel();
        let mut workers = Vec::with_capacity(services.len());
        for (index, (services, connections)) in services.into_iter().enumerate() {
            let (sockets, incoming) = mpsc::unbounded_channel();
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let server = server(connection_age(config, index));
            let prepare = prepare.clone();
            let end = (stop.clone(), config.grace);
            let life = (any_ended.clone().drop_guard(), alive.clone());
            thread::Builder::new()
                .name(format!("weir-worker-{index}"))
                .spawn(move || {
                    let cut_off = runtime.block_on(async {
                        prepare();
                        serve(server, services, incoming, end).await
                    });
                    // What is left is gone before the worker counts as ended.
                    drop(runtime);
                    if let Err(cut_off) = cut_off {
                        // Whoever started it may not care any more.
                        let _ = life.1.send(cut_off);
                    }
                    drop(life);
                })?;
            workers.push(Worker {
                connections,
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
            let guard = ConnectionGuard::new(&worker.connections, &self.connections);
            // A worker that is gone has already ended the server: the connection closes with it.
            let _ = worker.sockets.send((socket, guard));
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

    /// Asks clients to go and gives calls [`Config::grace`] to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends when all workers have ended, and says how.
    pub(super) async fn ended(&mut self) -> Shutdown {
        let mut end = Shutdown::Clean;
        while let Some(CutOff) = self.all_ended.recv().await {
            end = Shutdown::CutOff;
        }
        end
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
    server: Server,
    services: Services,
    incoming: mpsc::UnboundedReceiver<(Socket, ConnectionGuard)>,
    (stop, grace): (CancellationToken, Duration),
) -> Result<(), CutOff> {
    let connections = UnboundedReceiverStream::new(incoming)
        .map(|(socket, guard)| Connection::new(socket, guard, stop.clone()));
    let served = server.serve_with_incoming_shutdown(services, connections, stop.cancelled());
    let cut_off = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        outcome = served => {
            if let Err(error) = outcome {
                tracing::error!(%error, "worker failed");
            }
            Ok(())
        }
        () = cut_off => Err(CutOff),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::num::NonZeroUsize;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::policy::Policy;
    use crate::server::grpc;
    use crate::store::{MemoryConfig, Store};
    use crate::telemetry::Metrics;

    fn config(workers: usize, age_secs: Option<u64>) -> Config {
        Config {
            workers: NonZeroUsize::new(workers).unwrap(),
            drain: Duration::ZERO,
            grace: Duration::ZERO,
            max_connection_age: age_secs.map(Duration::from_secs),
        }
    }

    #[test]
    fn connections_of_different_workers_go_at_different_times() {
        let ages = |workers, age_secs| {
            let config = config(workers, age_secs);
            (0..workers)
                .map(|worker| connection_age(&config, worker).map(|age| age.as_secs()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ages(3, Some(100)), [Some(90), Some(100), Some(110)]);
        assert_eq!(ages(1, Some(100)), [Some(100)]);
        assert_eq!(ages(2, None), [None, None]);
    }

    fn spread(workers: &Workers) -> Vec<usize> {
        let connections = |worker: &Worker| worker.connections.load(Ordering::Relaxed);
        workers.workers.iter().map(connections).collect()
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_worker_with_the_fewest() {
        let policy = Policy::default();
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let engine = Arc::new(Engine::new(policy, store, Clock::System));
        let recorders: Vec<_> = (0..3)
            .map(|_| Metrics::default().worker_recorder())
            .collect();
        let (services, _health) = grpc::services(&engine, (&recorders, None)).await.unwrap();
        let services = services
            .into_iter()
            .map(|services| (services, Arc::default()));
        let workers = Workers::start(&config(3, None), services.collect(), || {}).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut clients = Vec::new();
        for _ in 0..7 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            workers.hand_over(Socket::Tcp(stream));
        }
        assert_eq!(spread(&workers), [3, 2, 2]);
        assert_eq!(workers.connections(), 7);

        clients.remove(1);
        let mut connections = workers.connections.subscribe();
        connections.wait_for(|&left| left == 6).await.unwrap();
        assert_eq!(spread(&workers), [3, 1, 2]);

        clients.clear();
        workers.idle().await;
        assert_eq!(spread(&workers), [0, 0, 0]);
    }
}
