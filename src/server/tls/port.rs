//! The certificate in force of one port.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;

use super::super::reload::WatchedFiles;
use super::error::TlsFilesError;
use super::files::{LoadedTls, TlsFiles};
use crate::clock::{Clock, Timestamp};
use crate::telemetry::{Metrics, ServerPort};

/// A port with TLS. New connections use the certificate that was loaded last.
pub struct TlsPort {
    port: ServerPort,
    files: TlsFiles,
    watched: Mutex<WatchedFiles>,
    config: ArcSwap<ServerConfig>,
    metrics: Arc<Metrics>,
}

/// Names the files. What is in them includes a key.
impl fmt::Debug for TlsPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPort")
            .field("port", &self.port)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl TlsPort {
    /// Loads the files.
    ///
    /// # Errors
    /// If a file cannot be read, or the certificate and the key do not belong together.
    pub fn load(
        port: ServerPort,
        files: TlsFiles,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TlsFilesError> {
        let mut watched = WatchedFiles::new(files.paths(), false);
        let loaded = watched.read(|_| files.load(protocol(port)))??;
        let tls = Self {
            port,
            files,
            watched: Mutex::new(watched),
            config: ArcSwap::new(Arc::clone(&loaded.config)),
            metrics,
        };
        tls.record(&loaded);
        Ok(tls)
    }

    /// Loads the files if they have changed. Files that still change, or that do not belong together, change nothing.
    /// A change takes effect at the second check that sees it.
    pub fn check(&self) {
        let mut watched = self.watched.lock();
        if watched.have_changed() {
            self.replace(&mut watched);
        }
    }

    /// Loads the files, changed or not.
    pub fn reload(&self) {
        self.replace(&mut self.watched.lock());
    }

    /// What handshakes need.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    fn replace(&self, watched: &mut WatchedFiles) {
        let loaded = watched.read(|_| self.files.load(protocol(self.port)));
        let port = self.port.as_str();
        match loaded.map_err(TlsFilesError::from).flatten() {
            Ok(loaded) => {
                self.config.store(Arc::clone(&loaded.config));
                self.record(&loaded);
                let expires = loaded.expiry.map(Timestamp::to_rfc3339);
                tracing::info!(port, expires, "certificate reloaded");
            }
            Err(error) => {
                self.metrics.certificate_failed(self.port);
                tracing::error!(
                    port,
                    error = &error as &dyn std::error::Error,
                    "certificate reload failed, previous certificate stays in force"
                );
            }
        }
    }

    fn record(&self, loaded: &LoadedTls) {
        let expiries = [loaded.expiry, loaded.client_ca_expiry];
        self.metrics.certificate_loaded(self.port, expiries);
        let now = Clock::System.now().micros();
        if loaded.expiry.is_some_and(|expiry| expiry.micros() < now) {
            let expired = loaded.expiry.map(Timestamp::to_rfc3339);
            let port = self.port.as_str();
            tracing::warn!(
                port,
                expired,
                "certificate has expired, clients will refuse it"
            );
        }
    }
}

/// What a port speaks, as ALPN has it. A client that names no protocol is taken to speak it, too.
fn protocol(port: ServerPort) -> &'static [u8] {
    match port {
        ServerPort::Grpc => b"h2",
        ServerPort::Http => b"http/1.1",
    }
}
