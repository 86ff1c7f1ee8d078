//! TLS on the ports of the server: certificates from files, client certificates, and handshakes.
//!
//! A [`TlsPort`] has the certificate in force of one port. [`CertificateWatch`] replaces it when its files change.
//! `handshake` makes encrypted connections of sockets, within limits, in the runtime that accepts them; a worker
//! receives only connections that are established (`socket`).

mod client_names;
mod error;
mod expiry;
mod files;
mod handshake;
mod port;
mod socket;
#[cfg(test)]
mod tests;
mod watch;

pub use client_names::{ClientName, ClientNameError};
pub use error::TlsFilesError;
pub use files::TlsFiles;
pub use port::TlsPort;
pub use watch::CertificateWatch;

pub(super) use handshake::{HandshakeFailure, Handshakes, accept};
pub(super) use socket::{EstablishedTls, TlsSocket};
