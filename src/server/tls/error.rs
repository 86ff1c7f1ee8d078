//! Why the files of a certificate cannot be used. No error contains a byte of a key.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::super::reload::KeptChanging;

/// Why the files of a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsFilesError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file has no certificate.
    #[error("{} has no certificate: expected PEM with `BEGIN CERTIFICATE`", .0.display())]
    NoCertificate(PathBuf),
    /// A file has a certificate that is not PEM or not X.509.
    #[error("{} has a certificate that cannot be read", .0.display())]
    Certificate(PathBuf),
    /// A file has no private key.
    #[error("{} has no private key: expected PEM with `BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`", .0.display())]
    NoKey(PathBuf),
    /// The private key is encrypted.
    #[error("the private key in {} is encrypted: decrypt it with `openssl pkey`", .0.display())]
    EncryptedKey(PathBuf),
    /// The kind of key is not known.
    #[error("the private key in {} cannot be used: expected RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519", .0.display())]
    Key(PathBuf),
    /// The certificate is of another key.
    #[error(
        "the certificate in {} does not belong to the private key in {}; the server's own certificate must be the first in its file",
        certificate.display(),
        key.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The files changed each time that they were read.
    #[error(transparent)]
    KeptChanging(#[from] KeptChanging),
}
