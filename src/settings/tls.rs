//! Flags for TLS: of the ports, and of the servers that weir connects to. Each has the same ones, under its own prefix.

use clap::Args;

use crate::server::tls::TlsFiles;

/// Defines the flags for TLS to a server: which certificates to trust, and which one to show.
macro_rules! tls_client_args {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $type:ident { flags: $flag:literal, variables: $variable:literal, server: $server:literal }
    ) => {
        $(#[$attribute])*
        #[derive(clap::Args, Clone, Debug)]
        $visibility struct $type {
            #[arg(
                id = concat!($flag, "ca"),
                long = concat!($flag, "ca"),
                value_name = "FILE",
                env = concat!($variable, "CA"),
                help = concat!("PEM file with the CA certificates to trust for ", $server, " [default: the system's]")
            )]
            ca: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "cert"),
                long = concat!($flag, "cert"),
                value_name = "FILE",
                env = concat!($variable, "CERT"),
                requires = concat!($flag, "key"),
                help = concat!("PEM file with weir's client certificate for ", $server)
            )]
            cert: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "key"),
                long = concat!($flag, "key"),
                value_name = "FILE",
                env = concat!($variable, "KEY"),
                requires = concat!($flag, "cert"),
                help = "PEM file with the private key of the client certificate"
            )]
            key: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "server-name"),
                long = concat!($flag, "server-name"),
                value_name = "NAME",
                env = concat!($variable, "SERVER_NAME"),
                help = concat!("Name that the certificate of ", $server, " must have [default: the host of its address]")
            )]
            server_name: Option<String>,
        }

        impl $type {
            /// The files, not read yet.
            $visibility fn options(&self) -> $crate::client::TlsOptions {
                $crate::client::TlsOptions {
                    ca: self.ca.clone(),
                    identity: self.cert.clone().zip(self.key.clone()),
                    server_name: self.server_name.clone(),
                }
            }
        }
    };
}

/// Defines the flags for TLS on a port: its certificate, and those of its clients.
macro_rules! tls_port_args {
    (
        $(#[$attribute:meta])*
        struct $type:ident { flags: $flag:literal, variables: $variable:literal, port: $port:literal, clients: $clients:literal }
    ) => {
        $(#[$attribute])*
        #[derive(Args, Clone, Debug)]
        pub(super) struct $type {
            #[arg(
                id = concat!($flag, "tls-cert"),
                long = concat!($flag, "tls-cert"),
                value_name = "FILE",
                env = concat!($variable, "TLS_CERT"),
                requires = concat!($flag, "tls-key"),
                help = concat!("PEM file with the certificate for ", $port, ", and its chain; without one the port has no TLS")
            )]
            certificate: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "tls-key"),
                long = concat!($flag, "tls-key"),
                value_name = "FILE",
                env = concat!($variable, "TLS_KEY"),
                requires = concat!($flag, "tls-cert"),
                help = "PEM file with the private key of that certificate"
            )]
            key: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "client-ca"),
                long = concat!($flag, "client-ca"),
                value_name = "FILE",
                env = concat!($variable, "CLIENT_CA"),
                requires = concat!($flag, "tls-cert"),
                help = concat!("PEM file with the CA certificates of ", $clients, ", which then must show a certificate")
            )]
            client_ca: Option<std::path::PathBuf>,
            #[arg(
                id = concat!($flag, "client-san"),
                long = concat!($flag, "client-san"),
                value_name = "NAME",
                env = concat!($variable, "CLIENT_SAN"),
                value_delimiter = ',',
                requires = concat!($flag, "client-ca"),
                help = concat!("DNS name or URI that the certificate of ", $clients, " may have; any of the CA if none is given")
            )]
            client_names: Vec<$crate::server::tls::ClientName>,
        }

        impl $type {
            /// The files of the port; none if it has no TLS.
            pub(super) fn files(&self) -> Option<TlsFiles> {
                Some(TlsFiles {
                    certificate: self.certificate.clone()?,
                    key: self.key.clone()?,
                    client_ca: self.client_ca.clone(),
                    client_names: self.client_names.clone(),
                })
            }
        }
    };
}

pub(super) use tls_client_args;

tls_client_args! {
    /// How the certificate of a server at `https://…` is checked, and which one is shown to it.
    pub struct TlsClientArgs { flags: "", variables: "WEIR_", server: "a server at https://" }
}

tls_port_args! {
    /// The flags for TLS on the gRPC port, as given.
    struct GrpcTlsArgs { flags: "grpc-", variables: "WEIR_GRPC_", port: "--grpc", clients: "gRPC clients" }
}

tls_port_args! {
    /// The flags for TLS on the HTTP port, as given.
    struct HttpTlsArgs { flags: "http-", variables: "WEIR_HTTP_", port: "--http", clients: "HTTP clients" }
}

/// The files of the ports with TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Of `--grpc`.
    pub grpc: Option<TlsFiles>,
    /// Of `--http`.
    pub http: Option<TlsFiles>,
}
