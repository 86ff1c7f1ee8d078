//! Certificates of the ports: when they expire, and whether their files could be loaded.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::text::Samples;
use crate::clock::Timestamp;
use crate::telemetry::ServerPort;

/// Files of a port with an expiry of their own, in the order of [`PortCertificates::expiries`].
const FILES: [&str; 2] = ["certificate", "client_ca"];

/// The certificates of one port. All numbers are 0 on a port without TLS.
#[derive(Debug, Default)]
pub(super) struct PortCertificates {
    /// Unix seconds; 0 if the port has no certificate.
    expiries: [AtomicU64; FILES.len()],
    successes: AtomicU64,
    failures: AtomicU64,
}

impl PortCertificates {
    pub(super) fn loaded(&self, expiries: [Option<Timestamp>; FILES.len()]) {
        for (stored, expiry) in self.expiries.iter().zip(expiries) {
            stored.store(expiry.map_or(0, |at| at.micros() / 1_000_000), Relaxed);
        }
        self.successes.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn expiry_samples(&self, port: ServerPort, out: &mut Samples<'_>) {
        for (file, expiry) in FILES.into_iter().zip(&self.expiries) {
            let expiry = expiry.load(Relaxed);
            if expiry > 0 {
                out.labelled(&[port.as_str(), file], expiry);
            }
        }
    }

    pub(super) fn load_samples(&self, port: ServerPort, out: &mut Samples<'_>) {
        let successes = self.successes.load(Relaxed);
        if successes > 0 {
            out.labelled(&[port.as_str(), "success"], successes);
            out.labelled(&[port.as_str(), "failure"], self.failures.load(Relaxed));
        }
    }
}
