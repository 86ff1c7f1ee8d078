//! Handshakes: limited in number and time, and why they fail.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::http2::Rejection;
use super::port::TlsPort;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once. With one more, the oldest is given up: clients that say nothing do not keep others out.
pub(super) const MAX_HANDSHAKES: usize = 512;

/// The handshakes of a port that are not over.
#[derive(Debug)]
pub(in crate::server) struct Handshakes<IO> {
    port: Arc<TlsPort>,
    /// How long each may take.
    timeout: Duration,
    running: JoinSet<Result<TlsStream<IO>, HandshakeFailure>>,
    /// The oldest first; some of them may be over.
    begun: VecDeque<AbortHandle>,
}

/// How a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum HandshakeFailure {
    /// The client went without a word, as TCP health checks do.
    Silent,
    Rejected(Rejection),
}

impl<IO> Handshakes<IO>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// None yet.
    pub(in crate::server) fn new(port: Arc<TlsPort>) -> Self {
        Self::with_timeout(port, HANDSHAKE_TIMEOUT)
    }

    pub(super) fn with_timeout(port: Arc<TlsPort>, timeout: Duration) -> Self {
        Self {
            port,
            timeout,
            running: JoinSet::new(),
            begun: VecDeque::new(),
        }
    }

    /// How many there are.
    pub(in crate::server) fn len(&self) -> usize {
        self.running.len()
    }

    /// Begins one in the runtime of the caller.
    pub(in crate::server) fn begin(&mut self, io: IO) {
        if self.running.len() >= MAX_HANDSHAKES {
            self.begun.retain(|handshake| !handshake.is_finished());
            if let Some(oldest) = self.begun.pop_front() {
                oldest.abort();
            }
        }
        let (port, limit) = (Arc::clone(&self.port), self.timeout);
        let handshake = async move { accept_within(limit, &port, io).await };
        let handshake = self.running.spawn(handshake);
        if self.begun.len() >= 2 * MAX_HANDSHAKES {
            self.begun.retain(|handshake| !handshake.is_finished());
        }
        self.begun.push_back(handshake);
    }

    /// The next that is over; waits while there is none.
    pub(in crate::server) async fn next(&mut self) -> Result<TlsStream<IO>, Rejection> {
        loop {
            match self.running.join_next().await {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(HandshakeFailure::Rejected(reason)))) => return Err(reason),
                Some(Ok(Err(HandshakeFailure::Silent))) => {}
                Some(Err(_aborted)) => return Err(Rejection::TlsTooManyHandshakes),
                None => std::future::pending().await,
            }
        }
    }
}

/// One handshake, in the time that one may take.
pub(in crate::server) async fn accept<IO>(
    port: &TlsPort,
    io: IO,
) -> Result<TlsStream<IO>, HandshakeFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    accept_within(HANDSHAKE_TIMEOUT, port, io).await
}

async fn accept_within<IO>(
    limit: Duration,
    port: &TlsPort,
    io: IO,
) -> Result<TlsStream<IO>, HandshakeFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let timed = timeout(limit, handshake(port, io)).await;
    timed.unwrap_or(Err(HandshakeFailure::Rejected(Rejection::TlsTimeout)))
}

async fn handshake<IO>(port: &TlsPort, io: IO) -> Result<TlsStream<IO>, HandshakeFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await;
    let hello = hello.map_err(|error| match reason(&error) {
        None => HandshakeFailure::Silent,
        Some(reason) => HandshakeFailure::Rejected(reason),
    })?;
    hello.into_stream(port.config()).await.map_err(|error| {
        let reason = reason(&error).unwrap_or(Rejection::TlsAborted);
        HandshakeFailure::Rejected(reason)
    })
}

/// Why TLS ended a handshake; `None` if it was the socket that ended.
fn reason(error: &io::Error) -> Option<Rejection> {
    use rustls::Error;
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Rejection::TlsPlaintext,
        Error::NoCertificatesPresented => Rejection::TlsNoClientCertificate,
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Rejection::TlsUnknownCa
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Rejection::TlsExpired,
            CertificateError::ApplicationVerificationFailure => Rejection::TlsNameNotAllowed,
            _ => Rejection::TlsBadClientCertificate,
        },
        Error::PeerIncompatible(_)
        | Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        ) => Rejection::TlsIncompatible,
        Error::NoApplicationProtocol => Rejection::TlsNoCommonProtocol,
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown,
        ) => Rejection::TlsCertificateRefused,
        _ => Rejection::TlsAborted,
    })
}
