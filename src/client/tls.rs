//! TLS of the clients: which servers they trust, and the certificate that they show.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pem::{self, PemError};

/// How a client checks the certificate of a server, and which one it shows. Files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The CA certificates to trust; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// The client's certificate with its chain, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate of the server must have; `None` for the host of the address.
    pub server_name: Option<String>,
}

/// Makes encrypted connections to one server.
#[derive(Clone)]
pub struct TlsDialer {
    connector: TlsConnector,
    server: ServerName<'static>,
}

/// Names the server. The rest includes a key.
impl std::fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsDialer")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl TlsOptions {
    /// Reads the files, for connections to `authority` (`HOST:PORT`) that speak `protocol`, as ALPN names it.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn dialer(&self, authority: &str, protocol: &[u8]) -> Result<TlsDialer, TlsOptionsError> {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.server_name.as_deref().unwrap_or(host);
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| TlsOptionsError::ServerName(name.to_owned()))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsOptionsError::Unsupported)?
            .with_root_certificates(self.roots()?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = pem::certificates(certificate)?;
                let config = builder.with_client_auth_cert(chain, pem::private_key(key)?);
                config.map_err(|_| TlsOptionsError::Identity(certificate.clone(), key.clone()))?
            }
        };
        config.alpn_protocols = vec![protocol.to_owned()];
        Ok(TlsDialer {
            connector: TlsConnector::from(Arc::new(config)),
            server,
        })
    }

    fn roots(&self) -> Result<RootCertStore, TlsOptionsError> {
        if let Some(path) = &self.ca {
            return Ok(pem::roots(path)?);
        }
        let mut roots = RootCertStore::empty();
        // Systems often have some certificates that cannot be parsed; they are skipped.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        match roots.is_empty() {
            true => Err(TlsOptionsError::NoSystemCa),
            false => Ok(roots),
        }
    }
}

impl TlsDialer {
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connected = self.connector.connect(self.server.clone(), stream).await;
        connected.map_err(|error| match HandshakeError::of(&error) {
            Some(reason) => io::Error::new(error.kind(), reason),
            None => error,
        })
    }
}

/// Why a handshake failed, if there is something to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum HandshakeError {
    #[error("the certificate of the server is of an unknown CA; name its CA with --ca")]
    UnknownCa,
    #[error(
        "the certificate of the server is for another name; give the one that it has with --server-name"
    )]
    OtherName,
    #[error("the certificate of the server has expired or is not yet valid")]
    Expired,
    #[error(
        "the certificate of the server is a CA itself; issue one that is not (basicConstraints=CA:FALSE)"
    )]
    IsCa,
    #[error("the server does not speak TLS on this port; leave out https://")]
    Plaintext,
    #[error(
        "the server does not accept the client's certificate, or asks for one; give it with --cert and --key"
    )]
    ClientCertificate,
}

impl HandshakeError {
    fn of(error: &io::Error) -> Option<Self> {
        use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
        Some(match error.get_ref()?.downcast_ref::<Error>()? {
            Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer => Self::UnknownCa,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::Other(error) => match error.0.downcast_ref()? {
                    webpki::Error::CaUsedAsEndEntity => Self::IsCa,
                    _ => return None,
                },
                _ => return None,
            },
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::Plaintext,
            Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::AccessDenied
                | AlertDescription::HandshakeFailure,
            ) => Self::ClientCertificate,
            _ => return None,
        })
    }
}

/// Why no encrypted connection can be made. No error contains a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsOptionsError {
    /// A file with certificates or a key cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The certificate and the key of the client cannot be used together.
    #[error("the certificate in {} and the private key in {} cannot be used together", .0.display(), .1.display())]
    Identity(PathBuf, PathBuf),
    /// The system has no CA certificates.
    #[error("the system has no CA certificates: name a file with --ca")]
    NoSystemCa,
    /// The name of the server is neither a DNS name nor an address.
    #[error("`{0}` is not a name that a certificate can have: name one with --server-name")]
    ServerName(String),
    /// The build has no version of TLS.
    #[error("TLS is not available")]
    Unsupported(#[source] rustls::Error),
}
