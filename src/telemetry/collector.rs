//! Where spans are exported: the address of a collector, as people write it.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The port of OTLP over gRPC.
const OTLP_PORT: u16 = 4317;
const HTTPS_PORT: u16 = 443;

/// Where spans are exported, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceConfig {
    /// A collector that accepts OTLP over gRPC.
    pub collector: CollectorAddress,
    /// CA certificates in PEM that sign the collector's certificate; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// Fraction of calls without a parent span to trace, from 0 to 1. A call with a parent is
    /// sampled if its parent is.
    pub sample_ratio: f64,
}

/// The address of a collector that accepts OTLP over gRPC.
///
/// Without a scheme, only port 443 is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorAddress {
    /// A name or an IP address, an IPv6 address in brackets.
    host: String,
    port: u16,
    is_encrypted: bool,
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
    #[error("OTLP over gRPC has no path; expected HOST:PORT, and usually port 4317")]
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
        let port = port.unwrap_or(match encrypted {
            Some(true) => HTTPS_PORT,
            Some(false) | None => OTLP_PORT,
        });
        Ok(Self {
            host: host.to_owned(),
            port,
            is_encrypted: encrypted.unwrap_or(port == HTTPS_PORT),
        })
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
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
