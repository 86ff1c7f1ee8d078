//! Workers: threads that each run their own connections on a runtime of their own.
//!
//! On two cores this answered 282–287 k calls a second where tokio's multi-thread runtime answered 150 k: a call
//! never changes its thread. SO_REUSEPORT is a little faster still, but leaves workers idle when connections are few,
//! and Envoy opens only one per thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ages::ConnectionAges;
use super::connection::{Accepted, ConnectionGuard};
use super::grpc::Services;
use super::http2::{ByteBudget, Http2Connection, Http2Limits, driver};
use super::{Config, Shutdown};
use crate::threads;

/// All workers.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
    connections: watch::Sender<usize>,
    max_connections: usize,
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
    sockets: mpsc::UnboundedSender<(Accepted, ConnectionGuard)>,
}

/// What a worker is started with.
pub(super) struct WorkerParts {
    pub(super) services: Services,
    /// Where it counts its connections.
    pub(super) connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts a thread for each of these; each runs `prepare` on its runtime before all else.
    pub(super) fn start(
        config: &Config,
        parts: Vec<WorkerParts>,
        prepare: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let any_ended = CancellationToken::new();
        let (alive, all_ended) = mpsc::unbounded_channel();
        let shared = Arc::new(SharedLimits {
            of_connection: Arc::new(Http2Limits::default()),
            budget: ByteBudget::new(config.buffer_bytes),
            ages: config.max_connection_age.map(ConnectionAges::new),
        });
        let mut workers = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let (sockets, incoming) = mpsc::unbounded_channel();
            let worker = WorkerConnections {
                services: part.services,
                shared: Arc::clone(&shared),
                stop: stop.clone(),
                grace: config.grace,
            };
            let prepare = prepare.clone();
            let life = (any_ended.clone().drop_guard(), alive.clone());
            threads::spawn_with_runtime(&format!("weir-worker-{index}"), move |runtime| {
                let cut_off = runtime.block_on(async {
                    prepare();
                    worker.serve(incoming).await
                });
                // What is left is gone before the worker counts as ended.
                drop(runtime);
                if let Err(cut_off) = cut_off {
                    // The starter may have stopped waiting.
                    let _ = life.1.send(cut_off);
                }
                drop(life);
            })?;
            workers.push(Worker {
                connections: part.connections,
                sockets,
            });
        }
        Ok(Self {
            workers,
            connections: watch::Sender::new(0),
            max_connections: config.max_connections,
            stop,
            any_ended,
            all_ended,
        })
    }

    /// Gives a connection to the worker that has the fewest.
    ///
    /// # Errors
    /// Returns the connection if there are too many already.
    pub(super) fn hand_over(&self, accepted: Accepted) -> Result<(), Accepted> {
        if !self.has_room(0) {
            return Err(accepted);
        }
        let fewest = self
            .workers
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        if let Some(worker) = fewest {
            let guard = ConnectionGuard::new(&worker.connections, &self.connections);
            // A worker that is gone has already ended the server: the connection closes with it.
            let _ = worker.sockets.send((accepted, guard));
        }
        Ok(())
    }

    /// Whether one more connection may come besides those that there are and `others`.
    pub(super) fn has_room(&self, others: usize) -> bool {
        self.connections() + others < self.max_connections
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

/// What connections of all workers share.
#[derive(Debug)]
struct SharedLimits {
    of_connection: Arc<Http2Limits>,
    budget: Arc<ByteBudget>,
    ages: Option<ConnectionAges>,
}

/// The connections of one worker, in its thread.
#[derive(Debug)]
struct WorkerConnections {
    services: Services,
    shared: Arc<SharedLimits>,
    stop: CancellationToken,
    grace: Duration,
}

impl WorkerConnections {
    /// Serves new connections until it is stopped, and then the open ones until they end.
    async fn serve(
        self,
        mut incoming: mpsc::UnboundedReceiver<(Accepted, ConnectionGuard)>,
    ) -> Result<(), CutOff> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = incoming.recv() => match accepted {
                    Some((accepted, guard)) => self.begin(&mut connections, accepted, guard),
                    None => break,
                },
                // The result of a connection is not needed, not even that it panicked.
                Some(_) = connections.join_next() => {}
            }
        }
        let ended = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => Ok(()),
            () = tokio::time::sleep(self.grace) => Err(CutOff),
        }
    }

    fn begin(&self, connections: &mut JoinSet<()>, accepted: Accepted, guard: ConnectionGuard) {
        let Services { rate_limit, others } = self.services.clone();
        let SharedLimits {
            of_connection,
            budget,
            ages,
        } = &*self.shared;
        let now = driver::now();
        let limits = Arc::clone(of_connection);
        let mut connection = Http2Connection::new(rate_limit, limits, budget, now);
        connection.set_retirement(ages.as_ref().map(|ages| now + ages.next()));
        let stop = self.stop.clone();
        connections.spawn(async move {
            let _guard = guard;
            // A socket that fails is its client's affair, and would let clients write the log.
            // Two kinds of stream are two tasks: one without TLS does not ask about it at each read.
            let stop = stop.cancelled();
            match accepted {
                Accepted::Plain(socket) => {
                    if let Ok(stream) = socket.into_stream() {
                        let _ = driver::serve(stream, connection, others, stop).await;
                    }
                }
                Accepted::Tls(established) => {
                    if let Ok(stream) = established.into_stream() {
                        let _ = driver::serve(stream, connection, others, stop).await;
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::num::NonZeroUsize;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::policy::Policy;
    use crate::server::grpc;
    use crate::server::socket::Socket;
    use crate::store::{MemoryConfig, Store};
    use crate::telemetry::Metrics;

    fn config(workers: usize) -> Config {
        Config {
            workers: NonZeroUsize::new(workers).unwrap(),
            drain: Duration::ZERO,
            grace: Duration::ZERO,
            max_connection_age: None,
            max_connections: 7,
            buffer_bytes: 1 << 20,
            request_metadata: false,
        }
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
        let (services, _health) = grpc::services(grpc::ServiceParts {
            engine: &engine,
            recorders: &recorders,
            traces: None,
            request_metadata: false,
        })
        .await
        .unwrap();
        let services = services.into_iter().map(|services| WorkerParts {
            services,
            connections: Arc::default(),
        });
        let workers = Workers::start(&config(3), services.collect(), || {}).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut clients = Vec::new();
        for _ in 0..7 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            workers
                .hand_over(Accepted::Plain(Socket::Tcp(stream)))
                .unwrap();
        }
        assert_eq!(spread(&workers), [3, 2, 2]);
        assert_eq!(workers.connections(), 7);

        let mut refused = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        workers
            .hand_over(Accepted::Plain(Socket::Tcp(stream)))
            .unwrap_err();
        assert_eq!(refused.read(&mut [0]).unwrap(), 0);
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
