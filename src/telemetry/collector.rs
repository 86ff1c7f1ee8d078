//! Where spans are exported: the address of a collector, as people write it.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The port of OTLP over gRPC.
const OTLP_PORT: u16 = 4317;
const OTLP_HTTP_PORT: u16 = 4318;
const HTTPS_PORT: u16 = 443;

/// Where spans are exported, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceConfig {
    /// The collector.
    pub collector: CollectorAddress,
    /// How it is spoken to.
    pub protocol: TraceProtocol,
    /// CA certificates in PEM that sign the collector's certificate; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// Fraction of calls without a parent span to trace, from 0 to 1. A call with a parent is
    /// sampled if its parent is.
    pub sample_ratio: f64,
    /// Who weir is.
    pub service: TraceService,
}

/// OTLP over gRPC or over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, with messages in protobuf.
    Http {
        /// Where spans are posted to.
        path: String,
    },
}

impl TraceProtocol {
    /// The usual path of OTLP over HTTP.
    pub const HTTP_PATH: &'static str = "/v1/traces";

    /// OTLP over HTTP, with the usual path.
    pub fn http() -> Self {
        Self::Http {
            path: Self::HTTP_PATH.to_owned(),
        }
    }
}

/// The resource of all spans, by OpenTelemetry's names; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceService {
    /// `service.name`.
    pub name: String,
    /// `service.namespace`.
    pub namespace: String,
    /// `service.instance.id`.
    pub instance_id: String,
}

/// The address of a collector; the usual port is that of OTLP over gRPC.
///
/// Without a scheme, only port 443 is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorAddress {
    /// A name or an IP address, an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Whether the port is only the usual one.
    is_usual_port: bool,
    is_encrypted: bool,
}

impl Default for CollectorAddress {
    /// This machine.
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: OTLP_PORT,
            is_usual_port: true,
            is_encrypted: false,
        }
    }
}

/// The text is not the address of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCollector {
    /// Another scheme.
    #[error("expected HOST:PORT, http://HOST:PORT or https://HOST:PORT")]
    Scheme,
    /// The host or the port is missing or invalid.
    #[error("expected HOST:PORT, such as 127.0.0.1:4317 or https://collector.example:4317")]
    Host,
    /// A path, as in addresses for OTLP over HTTP.
    #[error("expected HOST:PORT without a path; with --otlp-protocol=http it is /v1/traces")]
    Path,
    /// A user or a password.
    #[error("expected no login in the address; OTEL_EXPORTER_OTLP_HEADERS can have one")]
    Login,
}

impl CollectorAddress {
    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The same address, with the usual port of OTLP over HTTP if it names none.
    #[must_use]
    pub fn for_http(self) -> Self {
        let port = match self.is_usual_port && !self.is_encrypted {
            true => OTLP_HTTP_PORT,
            false => self.port,
        };
        Self { port, ..self }
    }

    /// `HOST:PORT`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for CollectorAddress {
    type Err = InvalidCollector;

    fn from_str(text: &str) -> Result<Self, InvalidCollector> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let encrypted = match scheme.as_deref() {
            None => None,
            Some("http" | "grpc") => Some(false),
            Some("https" | "grpcs") => Some(true),
            Some(_) => return Err(InvalidCollector::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(InvalidCollector::Login);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(InvalidCollector::Path);
        }
        let (host, port) = host_and_port(authority).ok_or(InvalidCollector::Host)?;
        let is_usual_port = port.is_none();
        let port = port.unwrap_or(match encrypted {
            Some(true) => HTTPS_PORT,
            Some(false) | None => OTLP_PORT,
        });
        Ok(Self {
            host: host.to_owned(),
            port,
            is_usual_port,
            is_encrypted: encrypted.unwrap_or(port == HTTPS_PORT),
        })
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// Host and port; `None` if one of them is invalid.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = match authority.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            inner[..end].parse::<Ipv6Addr>().ok()?;
            end + 2
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let is_name_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if end == 0 || !authority[..end].bytes().all(is_name_char) {
                return None;
            }
            end
        }
    };
    let (host, rest) = authority.split_at(end);
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (text, expected) in [
            ("localhost:4317", "http://localhost:4317"),
            ("collector", "http://collector:4317"),
            (
                "otel-collector.monitoring.svc:14317",
                "http://otel-collector.monitoring.svc:14317",
            ),
            ("http://[::1]:4317/", "http://[::1]:4317"),
            ("[::1]", "http://[::1]:4317"),
            ("HTTP://127.0.0.1", "http://127.0.0.1:4317"),
            ("grpc://collector:4317", "http://collector:4317"),
            ("grpcs://collector:4317", "https://collector:4317"),
            ("https://collector.example", "https://collector.example:443"),
            (
                "https://collector.example:4317/",
                "https://collector.example:4317",
            ),
            ("collector.example:443", "https://collector.example:443"),
            (
                "http://collector.example:443",
                "http://collector.example:443",
            ),
        ] {
            let address: CollectorAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn http_has_a_usual_port_of_its_own() {
        for (text, expected) in [
            ("collector", "http://collector:4318"),
            ("http://collector:4317", "http://collector:4317"),
            ("https://collector", "https://collector:443"),
        ] {
            let address: CollectorAddress = text.parse().unwrap();
            assert_eq!(address.for_http().to_string(), expected);
        }
    }

    #[test]
    fn other_texts_are_rejected_with_a_way_out() {
        for (text, error) in [
            ("ftp://x:1", InvalidCollector::Scheme),
            ("unix:///run/otlp.sock", InvalidCollector::Scheme),
            ("", InvalidCollector::Host),
            ("http://", InvalidCollector::Host),
            (":4317", InvalidCollector::Host),
            ("collector:", InvalidCollector::Host),
            ("collector:0", InvalidCollector::Host),
            ("collector:70000", InvalidCollector::Host),
            ("::1:4317", InvalidCollector::Host),
            ("[::1", InvalidCollector::Host),
            ("[x]:1", InvalidCollector::Host),
            ("[::1]4317", InvalidCollector::Host),
            ("a b:1", InvalidCollector::Host),
            ("http://collector:4318/v1/traces", InvalidCollector::Path),
            ("https://user:pass@collector:4317", InvalidCollector::Login),
        ] {
            assert_eq!(text.parse::<CollectorAddress>(), Err(error), "{text}");
        }
    }
}
