//! One connection of a worker, and who counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use super::socket::Socket;
use super::tls::EstablishedTls;

/// A connection for a worker.
#[derive(Debug)]
pub(super) enum Accepted {
    Plain(Socket),
    Tls(EstablishedTls),
}

/// Counts one connection of a worker for as long as it lives.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    of_worker: Arc<AtomicUsize>,
    of_all: watch::Sender<usize>,
}

impl ConnectionGuard {
    pub(super) fn new(of_worker: &Arc<AtomicUsize>, of_all: &watch::Sender<usize>) -> Self {
        of_worker.fetch_add(1, Ordering::Relaxed);
        of_all.send_modify(|connections| *connections += 1);
        Self {
            of_worker: Arc::clone(of_worker),
            of_all: of_all.clone(),
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.of_all.send_modify(|connections| *connections -= 1);
    }
}
