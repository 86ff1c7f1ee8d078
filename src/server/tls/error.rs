//! Why the files of a certificate cannot be used. No error contains a byte of a key.

use std::path::PathBuf;

use thiserror::Error;

use super::super::reload::KeptChanging;
use crate::pem::PemError;

/// Why the files of a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsFilesError {
    /// A file with certificates or a key cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
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
