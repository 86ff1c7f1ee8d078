//! The thread that looks whether the files of certificates have changed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::port::TlsPort;
use crate::threads;

/// Checks the files of ports; it ends when this is dropped.
#[derive(Debug)]
pub struct CertificateWatch {
    reloads: mpsc::Sender<()>,
}

impl CertificateWatch {
    /// Starts to check the files every `interval`; without one, only on [`Self::reload`].
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn start(ports: Vec<Arc<TlsPort>>, interval: Option<Duration>) -> io::Result<Self> {
        let (reloads, asked) = mpsc::channel();
        if !ports.is_empty() {
            threads::spawn("weir-tls", move || watch(&ports, &asked, interval))?;
        }
        Ok(Self { reloads })
    }

    /// Has the files loaded, changed or not.
    pub fn reload(&self) {
        // This fails only if no port has TLS: nothing is to be reloaded then.
        let _ = self.reloads.send(());
    }
}

fn watch(ports: &[Arc<TlsPort>], asked: &Receiver<()>, interval: Option<Duration>) {
    loop {
        let next = match interval {
            Some(pause) => asked.recv_timeout(pause),
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(()) => ports.iter().for_each(|port| port.reload()),
            Err(RecvTimeoutError::Timeout) => ports.iter().for_each(|port| port.check()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
