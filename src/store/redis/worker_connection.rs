//! A worker's own way to Redis.
//!
//! Each worker thread has one; its [`ConnectionTask`] runs on the worker's runtime and does the rest.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedSender};

use super::call::ScriptCall;
use super::circuit::Circuit;
use super::connection_task::ConnectionTask;
use super::shared::Shared;
use super::write_back::WriteBack;

/// The worker's end of a connection.
#[derive(Debug)]
pub(super) struct WorkerConnection {
    calls: UnboundedSender<ScriptCall>,
    circuit: Arc<Circuit>,
}

impl WorkerConnection {
    /// Starts to connect, on the runtime of the caller.
    pub(super) fn start(shared: Arc<Shared>, write_back: Arc<WriteBack>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let circuit = Arc::<Circuit>::default();
        let task = ConnectionTask::new(shared, write_back, calls, Arc::clone(&circuit));
        tokio::spawn(task.run());
        Self {
            calls: sender,
            circuit,
        }
    }

    /// Whether its runtime has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.calls.is_closed()
    }

    /// Whether calls are accepted.
    pub(super) fn is_available(&self) -> bool {
        !self.circuit.is_open()
    }

    /// Sends a call. If calls are not accepted it is dropped, which reports that it failed.
    pub(super) fn send(&self, call: ScriptCall) {
        if self.is_available() {
            let _ = self.calls.send(call);
        }
    }
}
