//! Flags for TLS on the ports.

use std::path::PathBuf;

use clap::Args;

use crate::server::tls::{ClientName, TlsFiles};

/// The flags for TLS on the ports, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// PEM file with the certificate for --grpc, and its chain; without one the port has no TLS
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_GRPC_TLS_CERT",
        requires = "grpc_tls_key"
    )]
    grpc_tls_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_GRPC_TLS_KEY",
        requires = "grpc_tls_cert"
    )]
    grpc_tls_key: Option<PathBuf>,

    /// PEM file with the CA certificates of gRPC clients, which then must show a certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_GRPC_CLIENT_CA",
        requires = "grpc_tls_cert"
    )]
    grpc_client_ca: Option<PathBuf>,

    /// DNS name or URI that the certificate of a gRPC client may have; any of the CA if none is given
    #[arg(
        long,
        value_name = "NAME",
        env = "WEIR_GRPC_CLIENT_SAN",
        value_delimiter = ',',
        requires = "grpc_client_ca"
    )]
    grpc_client_san: Vec<ClientName>,

    /// PEM file with the certificate for --http, and its chain; without one the port has no TLS
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_HTTP_TLS_CERT",
        requires = "http_tls_key"
    )]
    http_tls_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_HTTP_TLS_KEY",
        requires = "http_tls_cert"
    )]
    http_tls_key: Option<PathBuf>,

    /// PEM file with the CA certificates of HTTP clients, which then must show a certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_HTTP_CLIENT_CA",
        requires = "http_tls_cert"
    )]
    http_client_ca: Option<PathBuf>,

    /// DNS name or URI that the certificate of an HTTP client may have; any of the CA if none is given
    #[arg(
        long,
        value_name = "NAME",
        env = "WEIR_HTTP_CLIENT_SAN",
        value_delimiter = ',',
        requires = "http_client_ca"
    )]
    http_client_san: Vec<ClientName>,
}

/// The files of the ports with TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Of `--grpc`.
    pub grpc: Option<TlsFiles>,
    /// Of `--http`.
    pub http: Option<TlsFiles>,
}

impl TlsArgs {
    pub(super) fn resolve(self) -> TlsSettings {
        let grpc = self.grpc_tls_cert.zip(self.grpc_tls_key);
        let http = self.http_tls_cert.zip(self.http_tls_key);
        TlsSettings {
            grpc: grpc.map(|(certificate, key)| TlsFiles {
                certificate,
                key,
                client_ca: self.grpc_client_ca,
                client_names: self.grpc_client_san,
            }),
            http: http.map(|(certificate, key)| TlsFiles {
                certificate,
                key,
                client_ca: self.http_client_ca,
                client_names: self.http_client_san,
            }),
        }
    }
}
