//! Variables for addresses, TLS, connections and the log.

use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

use super::super::ServeSettings;
use super::RatelimitError;
use super::value::{InvalidValue, boolean, duration, port, set};
use super::variable::{VariableGroup, ignored, used};
use crate::server::ListenConfig;
use crate::server::admin::{HttpPort, HttpPurpose, JsonAccess};
use crate::server::tls::{ClientName, TlsFiles};

/// Where to listen, and what to log.
pub(super) struct Ports {
    http_host: String,
    http_port: u16,
    debug_host: String,
    debug_port: u16,
    grpc_socket: String,
    grpc_host: String,
    grpc_port: u16,
    max_connection_age: Duration,
    has_tls: bool,
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    client_name: Option<ClientName>,
    log_level: Level,
    log_as_json: bool,
}

/// The host that stands for all addresses in Go, of both families.
const ANY_HOST: &str = "0.0.0.0";

impl Default for Ports {
    fn default() -> Self {
        Self {
            http_host: ANY_HOST.to_owned(),
            http_port: 8080,
            debug_host: ANY_HOST.to_owned(),
            debug_port: 6070,
            grpc_socket: String::new(),
            grpc_host: ANY_HOST.to_owned(),
            grpc_port: 8081,
            max_connection_age: Duration::from_secs(24 * 60 * 60),
            has_tls: false,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            client_ca: PathBuf::new(),
            client_name: None,
            log_level: Level::WARN,
            log_as_json: false,
        }
    }
}

pub(super) const GROUP: VariableGroup<Ports> = VariableGroup {
    title: "Ports, TLS and the log",
    variables: &[
        used(
            "HOST",
            ANY_HOST,
            "address for HTTP; `0.0.0.0` is all addresses, of IPv6 too",
            |raw, value| set(&mut raw.http_host, Ok(value.into())),
        ),
        used(
            "PORT",
            "8080",
            "port for HTTP: `/healthcheck`, `/json`, and all other endpoints of weir",
            |raw, value| set(&mut raw.http_port, port(value)),
        ),
        used(
            "DEBUG_HOST",
            ANY_HOST,
            "address of the debug port",
            |raw, value| set(&mut raw.debug_host, Ok(value.into())),
        ),
        used(
            "DEBUG_PORT",
            "6070",
            "the debug port: `/rlconfig`, and all other endpoints of weir; it has neither `/stats` nor `/debug/pprof/`",
            |raw, value| set(&mut raw.debug_port, port(value)),
        ),
        used("GRPC_HOST", ANY_HOST, "address for gRPC", |raw, value| {
            set(&mut raw.grpc_host, Ok(value.into()))
        }),
        used("GRPC_PORT", "8081", "port for gRPC", |raw, value| {
            set(&mut raw.grpc_port, port(value))
        }),
        used(
            "GRPC_UDS",
            "",
            "Unix socket for gRPC instead of a port",
            |raw, value| set(&mut raw.grpc_socket, Ok(value.into())),
        ),
        ignored(
            "PROTO",
            "tcp",
            "weir listens on TCP, and on a Unix socket with GRPC_UDS",
        ),
        used(
            "GRPC_MAX_CONNECTION_AGE",
            "24h",
            "age at which clients are asked to reconnect, ± 10 %; `0` is never",
            |raw, value| set(&mut raw.max_connection_age, duration(value)),
        ),
        ignored(
            "GRPC_MAX_CONNECTION_AGE_GRACE",
            "1h",
            "a connection that is too old is closed as soon as its calls are answered",
        ),
        used(
            "GRPC_SERVER_USE_TLS",
            "false",
            "TLS on the gRPC port; new files are loaded while weir runs",
            |raw, value| set(&mut raw.has_tls, boolean(value)),
        ),
        used(
            "GRPC_SERVER_TLS_CERT",
            "",
            "PEM file with the certificate of the gRPC port",
            |raw, value| set(&mut raw.certificate, Ok(value.into())),
        ),
        used(
            "GRPC_SERVER_TLS_KEY",
            "",
            "PEM file with its private key",
            |raw, value| set(&mut raw.key, Ok(value.into())),
        ),
        used(
            "GRPC_CLIENT_TLS_CACERT",
            "",
            "PEM file with the CA of gRPC clients, which then must show a certificate",
            |raw, value| set(&mut raw.client_ca, Ok(value.into())),
        ),
        used(
            "GRPC_CLIENT_TLS_SAN",
            "",
            "DNS name or URI that the certificate of a client must have",
            |raw, value| set(&mut raw.client_name, client_name(value)),
        ),
        ignored(
            "GRPC_SERVER_TLS_CA_CERT",
            "",
            "envoyproxy/ratelimit does not read it either, although Envoy Gateway sets it; GRPC_CLIENT_TLS_CACERT makes clients show a certificate",
        ),
        used(
            "LOG_LEVEL",
            "WARN",
            "`panic`, `fatal`, `error`, `warn`, `info`, `debug` or `trace`",
            |raw, value| set(&mut raw.log_level, level(value)),
        ),
        used(
            "LOG_FORMAT",
            "text",
            "`json`, else text; the fields are those of `weir serve`",
            |raw, value| {
                raw.log_as_json = value == "json";
                Ok(())
            },
        ),
    ],
};

impl Ports {
    pub(super) fn apply(self, settings: &mut ServeSettings) -> Result<(), RatelimitError> {
        settings.listen = match self.grpc_socket.as_str() {
            "" => ListenConfig::Tcp(address(&self.grpc_host, self.grpc_port)),
            path => ListenConfig::Unix(path.into()),
        };
        settings.listen_setting = "GRPC_PORT";
        settings.server.max_connection_age =
            Some(self.max_connection_age).filter(|age| !age.is_zero());
        settings.log.level = self.log_level;
        settings.log.json = self.log_as_json;
        if let Some(admin) = &mut settings.admin {
            admin.ports = vec![
                HttpPort {
                    address: address(&self.http_host, self.http_port),
                    purpose: HttpPurpose::Main,
                    setting: "PORT",
                },
                HttpPort {
                    address: address(&self.debug_host, self.debug_port),
                    purpose: HttpPurpose::Debug,
                    setting: "DEBUG_PORT",
                },
            ];
            // As in envoyproxy/ratelimit, which has no such rules.
            admin.hosts = vec!["*".to_owned()];
            admin.json = JsonAccess::Everybody;
        }
        if !self.has_tls {
            settings.tls.grpc = None;
            return Ok(());
        }
        for (name, file) in [
            ("GRPC_SERVER_TLS_CERT", &self.certificate),
            ("GRPC_SERVER_TLS_KEY", &self.key),
        ] {
            if file.as_os_str().is_empty() {
                return Err(RatelimitError::Missing {
                    name,
                    because: "GRPC_SERVER_USE_TLS is true",
                });
            }
        }
        settings.tls.grpc = Some(TlsFiles {
            certificate: self.certificate,
            key: self.key,
            client_ca: file(self.client_ca),
            client_names: self.client_name.into_iter().collect(),
        });
        Ok(())
    }
}

/// An address of Go's: no host and `0.0.0.0` are all addresses.
pub(super) fn address(host: &str, port: u16) -> String {
    match host {
        "" | ANY_HOST | "::" | "[::]" => format!(":{port}"),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// The file of a variable, which may be empty.
pub(super) fn file(path: PathBuf) -> Option<PathBuf> {
    Some(path).filter(|path| !path.as_os_str().is_empty())
}

fn client_name(value: &str) -> Result<Option<ClientName>, InvalidValue> {
    match value {
        "" => Ok(None),
        name => name
            .parse()
            .map(Some)
            .map_err(|_| InvalidValue("a DNS name or a URI, such as envoy.example")),
    }
}

/// A level of logrus.
fn level(value: &str) -> Result<Level, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "panic" | "fatal" | "error" => Ok(Level::ERROR),
        "warn" | "warning" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(InvalidValue(
            "panic, fatal, error, warn, info, debug or trace",
        )),
    }
}
