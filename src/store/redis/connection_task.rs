//! Drives the connection of one worker: connects, sends, watches over the nodes, and reconnects.
//!
//! Calls that wait when a command can be sent travel together in it; none waits for others to come.
//! A single server that does not answer is reconnected to, which also asks sentinels for a new
//! master. In a cluster each node has a circuit breaker of its own, so that one that is down does
//! not slow down calls to the others.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, Sleep, sleep_until};

use super::backoff::{self, reconnect_backoff};
use super::call::ScriptCall;
use super::circuit::Circuit;
use super::connect::{CommandOutcome, RedisConnection, hash_slot};
use super::dispatch::{dispatch, prove};
use super::flush::flush_in_background;
use super::node_map::NodeMap;
use super::node_queue::{NodeQueue, Probe};
use super::shared::Shared;
use super::write_back::WriteBack;
use crate::store::{CounterKey, StoreError};

/// How often to check that Redis is there and compatible.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Calls taken from the channel at once.
const MAX_RECEIVED: usize = 512;

/// Reserved counters, among which each node has one, however few hash slots it serves.
const MAX_RESERVED: u32 = 65_536;

pub(super) struct ConnectionTask {
    shared: Arc<Shared>,
    write_back: Arc<WriteBack>,
    calls: UnboundedReceiver<ScriptCall>,
    circuit: Arc<Circuit>,
}

/// Why a connection is given up.
enum End {
    /// The worker has ended.
    Closed,
    /// The connection is unusable; another may be there in time.
    Broken(StoreError),
    /// Redis does not answer.
    TimedOut,
}

/// Something sent to Redis.
type Running<'a> = Pin<Box<dyn Future<Output = Event> + Send + 'a>>;

/// What has come of it.
enum Event {
    /// A command to a node has ended.
    Command(usize, CommandOutcome),
    /// A heartbeat through a node has ended.
    Heartbeat(usize, CommandOutcome),
    /// A probe of a node has ended.
    Probe(usize, ProbeOutcome),
}

enum ProbeOutcome {
    Answered,
    Failed,
    /// Another node serves its hash slots.
    Replaced,
}

impl ConnectionTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        write_back: Arc<WriteBack>,
        calls: UnboundedReceiver<ScriptCall>,
        circuit: Arc<Circuit>,
    ) -> Self {
        Self {
            shared,
            write_back,
            calls,
            circuit,
        }
    }

    /// Runs until the worker has ended.
    pub(super) async fn run(mut self) {
        let mut backoff = reconnect_backoff();
        loop {
            match self.connect().await {
                Ok((connection, nodes)) => {
                    self.circuit.close();
                    self.shared.report_connected();
                    self.write_back.retry();
                    let since = Instant::now();
                    let end = self.serve(connection, &nodes).await;
                    self.shared.report_disconnected();
                    let error = match end {
                        End::Closed => return,
                        End::Broken(error) => error,
                        End::TimedOut => StoreError::Timeout,
                    };
                    let was_good = !error.is_rejection() && since.elapsed() >= backoff::LONGEST;
                    let may_be_back = was_good && error != StoreError::Timeout;
                    self.shared.report_failure(error);
                    if was_good {
                        backoff = reconnect_backoff();
                    }
                    if may_be_back {
                        continue;
                    }
                }
                Err(error) => self.shared.report_failure(error),
            }
            self.circuit.open();
            if self
                .reject_for(backoff.next_jittered_delay())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Connects, and sees that Redis counts. Calls wait for it, but not longer than for an answer.
    async fn connect(&mut self) -> Result<(RedisConnection, NodeMap), StoreError> {
        let shared = &self.shared;
        let connecting = async {
            let mut connection = shared.connect().await?;
            let nodes = NodeMap::load(shared, &mut connection).await?;
            let proof = prove(shared, connection.clone(), CounterKey::reserved(0)).await;
            match proof {
                // One node that is down does not keep the others away.
                Err(error) if !connection.is_cluster() || error.is_rejection() => Err(error),
                _ => Ok((connection, nodes)),
            }
        };
        tokio::pin!(connecting);
        match tokio::time::timeout(shared.deadline, &mut connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                self.circuit.open();
                while let Ok(call) = self.calls.try_recv() {
                    drop(call);
                }
                connecting.await
            }
        }
    }

    /// Drops calls that were sent before the circuit opened. An error if the worker has ended.
    async fn reject_for(&mut self, delay: Duration) -> Result<(), ()> {
        let delay = tokio::time::sleep(delay);
        tokio::pin!(delay);
        loop {
            tokio::select! {
                () = &mut delay => return Ok(()),
                call = self.calls.recv() => drop(call.ok_or(())?),
            }
        }
    }

    async fn serve(&mut self, connection: RedisConnection, nodes: &NodeMap) -> End {
        let shared = &self.shared;
        let mut queues: Vec<NodeQueue> = (0..nodes.len()).map(|_| NodeQueue::new()).collect();
        let mut running = FuturesUnordered::<Running<'_>>::new();
        let mut heartbeats = tokio::time::interval(HEARTBEAT);
        heartbeats.reset();
        let node_of = |name: &str| nodes.node_of(hash_slot(name.as_bytes()));
        let (flushed, mut writes) = mpsc::unbounded_channel();
        let flushing = flush_in_background(&self.write_back, flushed);
        tokio::pin!(flushing);
        let mut received = Vec::new();
        let mut expiry = std::pin::pin!(sleep_until(Instant::now()));
        let mut has_waiting = false;
        loop {
            tokio::select! {
                biased;
                Some(event) = running.next() => {
                    match handle(shared, &connection, &mut queues, event) {
                        Ok(Some((node, probe))) => {
                            running.push(Box::pin(run_probe(shared, connection.clone(), nodes, node, probe)));
                        }
                        Ok(None) => {}
                        Err(end) => return end,
                    }
                }
                // Before calls, so that a write is sent before a call that was made after it.
                Some(write) = writes.recv() => {
                    received.push(write);
                    received.extend(std::iter::from_fn(|| writes.try_recv().ok()));
                }
                calls = self.calls.recv_many(&mut received, MAX_RECEIVED) => {
                    if calls == 0 {
                        return End::Closed;
                    }
                }
                _ = heartbeats.tick() => {
                    let node = node_of(shared.handshake.name());
                    let heartbeat = heartbeat(shared, connection.clone());
                    running.push(Box::pin(async move { Event::Heartbeat(node, heartbeat.await) }));
                }
                () = &mut flushing => {}
                () = &mut expiry, if has_waiting => {}
            }
            let deadline = Instant::now() + shared.deadline;
            for mut call in received.drain(..) {
                call.set_deadline(deadline);
                let node = match call.counters.first() {
                    Some(key) if connection.is_cluster() => nodes.node_of(shared.hash_slot(*key)),
                    _ => 0,
                };
                queues[node].push(call);
            }
            for (node, queue) in queues.iter_mut().enumerate() {
                while let Some(calls) = queue.next_command() {
                    let command = dispatch(shared, connection.clone(), calls);
                    running.push(Box::pin(async move { Event::Command(node, command.await) }));
                }
            }
            has_waiting = watch_waiting(&mut queues, expiry.as_mut());
        }
    }
}

/// Drops calls that could not be sent in time, and sets the timer to when the next have to be dropped.
/// Whether there are any.
fn watch_waiting(queues: &mut [NodeQueue], mut expiry: Pin<&mut Sleep>) -> bool {
    let next = |queues: &[NodeQueue]| queues.iter().filter_map(NodeQueue::next_deadline).min();
    let Some(first) = next(queues) else {
        return false;
    };
    if !expiry.is_elapsed() && expiry.deadline() <= first {
        // It fires early, which costs less than to set it for each command.
        return true;
    }
    let now = Instant::now();
    for queue in queues.iter_mut() {
        queue.expire(now);
    }
    let Some(first) = next(queues) else {
        return false;
    };
    expiry.as_mut().reset(first);
    true
}

/// Handles an event; returns the next probe of a node, if it needs one.
fn handle(
    shared: &Arc<Shared>,
    connection: &RedisConnection,
    queues: &mut [NodeQueue],
    event: Event,
) -> Result<Option<(usize, Probe)>, End> {
    let (node, outcome) = match event {
        Event::Probe(node, ProbeOutcome::Answered) => {
            queues[node].close();
            if !queues.iter().any(NodeQueue::is_open) {
                shared.report_answer(true);
            }
            return Ok(None);
        }
        Event::Probe(_, ProbeOutcome::Replaced) => return Err(End::Broken(StoreError::Timeout)),
        Event::Probe(node, ProbeOutcome::Failed) => {
            return Ok(queues[node].next_probe().map(|probe| (node, probe)));
        }
        Event::Command(node, outcome) => {
            queues[node].finish_command();
            (node, outcome)
        }
        Event::Heartbeat(node, outcome) => (node, outcome),
    };
    match outcome {
        CommandOutcome::Ok => queues[node].succeed(),
        CommandOutcome::Broken(error) => return Err(End::Broken(error)),
        CommandOutcome::Failed if !queues[node].fail() => {}
        CommandOutcome::Failed if !connection.is_cluster() => return Err(End::TimedOut),
        CommandOutcome::Failed => {
            return Ok(queues[node].open(shared).map(|probe| (node, probe)));
        }
    }
    Ok(None)
}

/// Checks the connection; while Redis is down although it answers, sees whether it counts again.
async fn heartbeat(shared: &Shared, connection: RedisConnection) -> CommandOutcome {
    let outcome = shared.heartbeat(connection.clone()).await;
    if matches!(outcome, CommandOutcome::Ok)
        && shared.is_down()
        && !connection.is_cluster()
        && prove(shared, connection, CounterKey::reserved(0))
            .await
            .is_ok()
    {
        shared.report_answer(true);
    }
    outcome
}

/// A reserved counter that a node serves.
fn reserved_at(shared: &Shared, nodes: &NodeMap, node: usize) -> Option<CounterKey> {
    let mut counters = (0..MAX_RESERVED).map(CounterKey::reserved);
    counters.find(|counter| nodes.node_of(shared.hash_slot(*counter)) == node)
}

/// Waits, and sees whether a node counts, or whether another has taken its place.
async fn run_probe(
    shared: &Shared,
    mut connection: RedisConnection,
    nodes: &NodeMap,
    node: usize,
    probe: Probe,
) -> Event {
    tokio::time::sleep(probe.delay).await;
    let name = probe.counter.map_or_else(
        || shared.handshake.name().to_owned(),
        |key| shared.name(key),
    );
    let slot = hash_slot(name.as_bytes());
    let proof = match reserved_at(shared, nodes, node) {
        Some(counter) => prove(shared, connection.clone(), counter).await,
        None => Err(StoreError::UnexpectedReply),
    };
    let outcome = match proof {
        Ok(()) => ProbeOutcome::Answered,
        Err(_) => match NodeMap::load(shared, &mut connection).await {
            Ok(current) if current.id_of(slot) != nodes.id_of(slot) => ProbeOutcome::Replaced,
            Ok(_) | Err(_) => ProbeOutcome::Failed,
        },
    };
    Event::Probe(node, outcome)
}
