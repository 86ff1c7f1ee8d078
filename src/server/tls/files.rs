//! A certificate, its key and the CA of clients: from PEM files to what a handshake needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::client_names::{ClientName, NamedClients};
use super::error::TlsFilesError;
use super::expiry::expiry;
use crate::clock::Timestamp;
use crate::pem::{self, PemError};

/// The files of a port with TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, and the intermediate certificates up to its CA.
    pub certificate: PathBuf,
    /// The private key: PKCS#1, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// The CA certificates of clients; without one, no client needs a certificate.
    pub client_ca: Option<PathBuf>,
    /// Names of which a client's certificate must have one; if there are none, every certificate of the CA will do.
    pub client_names: Vec<ClientName>,
}

/// What was in the files.
pub(super) struct LoadedTls {
    pub(super) config: Arc<ServerConfig>,
    /// When the first certificate of the server's chain expires.
    pub(super) expiry: Option<Timestamp>,
    /// When the first CA certificate of clients expires.
    pub(super) client_ca_expiry: Option<Timestamp>,
}

impl TlsFiles {
    /// All files.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = [&self.certificate, &self.key];
        files.into_iter().chain(&self.client_ca).cloned().collect()
    }

    /// Reads the files.
    pub(super) fn load(&self, protocol: &[u8]) -> Result<LoadedTls, TlsFilesError> {
        let provider = Arc::new(ring::default_provider());
        let chain = pem::certificates(&self.certificate)?;
        let expiry = first_expiry(&chain);
        let certified = self.certified(chain, &provider)?;
        let ca = self.client_ca.as_deref().map(|path| {
            let certificates = pem::certificates(path)?;
            let expiry = first_expiry(&certificates);
            let verifier = self.verifier(path, certificates, &provider)?;
            Ok::<_, TlsFilesError>((verifier, expiry))
        });
        let ca = ca.transpose()?;
        let client_ca_expiry = ca.as_ref().and_then(|(_, expiry)| *expiry);

        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|_| TlsFilesError::Key(self.key.clone()))?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = match ca {
            None => builder.with_no_client_auth().with_cert_resolver(resolver),
            Some((verifier, _)) => {
                let builder = builder.with_client_cert_verifier(verifier);
                let mut config = builder.with_cert_resolver(resolver);
                // A session that is resumed would not show its certificate again.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        };
        config.alpn_protocols = vec![protocol.to_owned()];
        Ok(LoadedTls {
            config: Arc::new(config),
            expiry,
            client_ca_expiry,
        })
    }

    fn certified(
        &self,
        chain: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsFilesError> {
        let key = pem::private_key(&self.key)?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsFilesError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            rustls::Error::InvalidCertificate(_) => {
                PemError::Certificate(self.certificate.clone()).into()
            }
            _ => TlsFilesError::Key(self.key.clone()),
        })
    }

    fn verifier(
        &self,
        path: &Path,
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsFilesError> {
        let roots = pem::trust(certificates, path)?;
        let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        let verifier = verifier.map_err(|_| PemError::Certificate(path.to_owned()))?;
        if self.client_names.is_empty() {
            return Ok(verifier);
        }
        Ok(Arc::new(NamedClients {
            verifier,
            names: self.client_names.clone(),
        }))
    }
}

fn first_expiry(certificates: &[CertificateDer<'_>]) -> Option<Timestamp> {
    let expiries = certificates.iter().filter_map(|found| expiry(found));
    expiries.min_by_key(|expiry| expiry.micros())
}
