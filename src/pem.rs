//! Certificates and private keys from PEM files.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::regular_file::{self, OpenError};

/// Why a PEM file cannot be used. No error contains a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file has no certificate.
    #[error("{} has no certificate: expected PEM with `BEGIN CERTIFICATE`", .0.display())]
    NoCertificate(PathBuf),
    /// The file has a certificate that is not PEM or not X.509.
    #[error("{} has a certificate that cannot be read", .0.display())]
    Certificate(PathBuf),
    /// The file has no private key.
    #[error("{} has no private key: expected PEM with `BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`", .0.display())]
    NoKey(PathBuf),
    /// The private key is encrypted.
    #[error("the private key in {} is encrypted: decrypt it with `openssl pkey`", .0.display())]
    EncryptedKey(PathBuf),
}

/// Part of the first line of a key that needs a password.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    parse_certificates(&read(path)?, path)
}

/// The CA certificates of a file, to be trusted.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, PemError> {
    trust(certificates(path)?, path)
}

/// Trusts these certificates of `path`.
pub(crate) fn trust(
    certificates: Vec<CertificateDer<'static>>,
    path: &Path,
) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(|_| PemError::Certificate(path.to_owned()))?;
    }
    Ok(roots)
}

/// The first private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    parse_key(&read(path)?, path)
}

/// A certificate and its private key as PEM, for a library that reads it by itself.
pub(crate) struct IdentityText {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl IdentityText {
    /// Reads both files, and checks that they have what they should.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, PemError> {
        let text = Self {
            certificate: read(certificate)?,
            key: read(key)?,
        };
        parse_certificates(&text.certificate, certificate)?;
        parse_key(&text.key, key)?;
        Ok(text)
    }
}

/// The CA certificates of a file as PEM, for a library that reads them by itself.
#[cfg(feature = "redis")]
pub(crate) fn roots_text(path: &Path) -> Result<Vec<u8>, PemError> {
    let text = read(path)?;
    trust(parse_certificates(&text, path)?, path)?;
    Ok(text)
}

fn parse_certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| PemError::Certificate(path.to_owned()))?;
    match certificates.is_empty() {
        true => Err(PemError::NoCertificate(path.to_owned())),
        false => Ok(certificates),
    }
}

fn parse_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let mut windows = pem.windows(ENCRYPTED.len());
        match windows.any(|window| window == ENCRYPTED) {
            true => PemError::EncryptedKey(path.to_owned()),
            false => PemError::NoKey(path.to_owned()),
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    regular_file::read(path).map_err(|error| PemError::Read {
        path: path.to_owned(),
        source: match error {
            OpenError::Io(source) => source,
            irregular @ OpenError::Irregular(_) => io::Error::other(irregular),
        },
    })
}
