//! Clients by name: which of the certificates that a CA has signed are accepted.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use thiserror::Error;
use webpki::EndEntityCert;

/// A subject alternative name of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// A DNS name; letters of either case are equal.
    Dns(String),
    /// A URI, such as a SPIFFE ID.
    Uri(String),
}

impl FromStr for ClientName {
    type Err = ClientNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_dns_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.contains("://") && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self::Uri(text.to_owned()))
        } else if !text.is_empty() && text.bytes().all(is_dns_byte) {
            Ok(Self::Dns(text.to_owned()))
        } else {
            Err(ClientNameError)
        }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Dns(name) | Self::Uri(name)) = self;
        f.write_str(name)
    }
}

/// The text is not the name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a DNS name or a URI, such as envoy.example or spiffe://cluster.local/ns/istio-system/sa/gateway"
)]
pub struct ClientNameError;

/// Accepts what another verifier accepts, if the certificate has one of these names.
#[derive(Debug)]
pub(super) struct NamedClients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) names: Vec<ClientName>,
}

impl NamedClients {
    fn has_name(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else {
            return false;
        };
        self.names.iter().any(|name| match name {
            ClientName::Dns(name) => certificate
                .valid_dns_names()
                .any(|found| found.eq_ignore_ascii_case(name)),
            ClientName::Uri(uri) => certificate.valid_uri_names().any(|found| found == uri),
        })
    }
}

impl ClientCertVerifier for NamedClients {
    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .verifier
            .verify_client_cert(certificate, intermediates, now)?;
        match self.has_name(certificate) {
            true => Ok(verified),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names_or_uris() {
        let spiffe = "spiffe://cluster.local/ns/istio-system/sa/gateway";
        let dns = "Envoy.example";
        assert_eq!(dns.parse(), Ok(ClientName::Dns(dns.to_owned())));
        assert_eq!(spiffe.parse(), Ok(ClientName::Uri(spiffe.to_owned())));
        for wrong in ["", "a b", "*.example", "DNS:envoy", "spiffe://a b"] {
            assert_eq!(wrong.parse::<ClientName>(), Err(ClientNameError), "{wrong}");
        }
    }
}
