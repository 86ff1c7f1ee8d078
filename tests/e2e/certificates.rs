//! Certificates for a server on loopback and for its clients, as files.

use std::fs;

use tempfile::TempDir;
use weir_harness::{Authority, Issued};

/// The name of Envoy in its certificate.
pub(crate) const ENVOY: &str = "spiffe://cluster.local/ns/gateway/sa/envoy";

/// A folder with `ca.pem`, and a certificate and a key for each name: `NAME.pem` and `NAME.key`.
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Certificates {
    /// With a certificate `weir` for a server on loopback.
    pub(crate) fn new() -> Self {
        let made = Self {
            authority: Authority::new(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        made.write("ca.pem", &made.authority.pem());
        made.add("weir", &made.authority.issue(&["127.0.0.1", "localhost"]));
        made
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Writes a certificate and its key.
    pub(crate) fn add(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.pem"), &issued.certificate);
        self.write(&format!("{name}.key"), &issued.key);
    }

    /// The flags that make weir serve gRPC or HTTP with the certificate `weir`.
    pub(crate) fn serve(&self, port: &str) -> Vec<String> {
        vec![
            format!("--{port}-tls-cert={}", self.path("weir.pem")),
            format!("--{port}-tls-key={}", self.path("weir.key")),
        ]
    }
}
