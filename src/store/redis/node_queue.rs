//! The calls to one node, and its circuit breaker.
//!
//! A node that does not answer gets no calls: they fail at once. A probe closes the circuit again.

use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::reconnect_backoff;
use super::call::ScriptCall;
use super::shared::Shared;
use crate::backoff::Backoff;
use crate::store::CounterKey;

/// Calls per command, at most; more would keep Redis from its other clients.
const MAX_CALLS: usize = 128;

/// Commands in flight, at most, so that Redis has the next when it has finished one. More are not
/// faster; calls that wait travel together.
const MAX_IN_FLIGHT: usize = 4;

/// Commands in a row that fail before the circuit opens.
const MAX_FAILURES: u32 = 3;

#[derive(Debug)]
pub(super) struct NodeQueue {
    waiting: Vec<ScriptCall>,
    in_flight: usize,
    failures: u32,
    /// A counter that the node serves: what a probe asks for.
    counter: Option<CounterKey>,
    open: Option<OpenCircuit>,
}

/// A node that is left alone.
#[derive(Debug)]
struct OpenCircuit {
    shared: Arc<Shared>,
    backoff: Backoff,
}

impl Drop for OpenCircuit {
    fn drop(&mut self) {
        self.shared.close_circuit();
    }
}

/// When, and by which counter, to see whether a node answers again.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) delay: std::time::Duration,
    pub(super) counter: Option<CounterKey>,
}

impl NodeQueue {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            in_flight: 0,
            failures: 0,
            counter: None,
            open: None,
        }
    }

    /// Takes a call, or drops it if the circuit is open.
    pub(super) fn push(&mut self, call: ScriptCall) {
        if self.open.is_none() {
            self.counter = call.counters.first().copied();
            self.waiting.push(call);
        }
    }

    /// The calls of the next command, if one may be sent.
    pub(super) fn next_command(&mut self) -> Option<Vec<ScriptCall>> {
        if self.waiting.is_empty() || self.in_flight == MAX_IN_FLIGHT {
            return None;
        }
        self.in_flight += 1;
        let calls = self.waiting.len().min(MAX_CALLS);
        Some(self.waiting.drain(..calls).collect())
    }

    /// Drops calls that have waited too long, so that they are not applied later.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_expired =
            |call: &ScriptCall| call.deadline().is_some_and(|deadline| deadline <= now);
        self.waiting.retain(|call| !is_expired(call));
    }

    /// The earliest deadline of a call that waits.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // They came in the order of their deadlines.
        self.waiting.iter().find_map(ScriptCall::deadline)
    }

    /// A command has ended.
    pub(super) fn finish_command(&mut self) {
        self.in_flight -= 1;
    }

    /// Redis answered.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Redis did not answer. True if it has not for a while.
    pub(super) fn fail(&mut self) -> bool {
        self.failures += 1;
        self.failures >= MAX_FAILURES
    }

    /// Opens the circuit; `None` if it is open.
    pub(super) fn open(&mut self, shared: &Arc<Shared>) -> Option<Probe> {
        if self.open.is_some() {
            return None;
        }
        shared.open_circuit();
        self.open = Some(OpenCircuit {
            shared: Arc::clone(shared),
            backoff: reconnect_backoff(),
        });
        self.waiting.clear();
        self.next_probe()
    }

    /// The next probe of an open circuit.
    pub(super) fn next_probe(&mut self) -> Option<Probe> {
        let open = self.open.as_mut()?;
        Some(Probe {
            delay: open.backoff.next_jittered_delay(),
            counter: self.counter,
        })
    }

    pub(super) fn close(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}
