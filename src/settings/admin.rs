//! Flags for the HTTP port: its address, and who may do what there.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::tls::HttpTlsArgs;
use crate::server::ListenConfig;
use crate::server::admin::{AdminConfig, HttpPort, HttpPurpose, JsonAccess};

/// The interval of the history on the page: its 180 steps are a quarter of an hour.
const STEP: Duration = Duration::from_secs(5);

/// HTTP connections that may be open at once: scrapes, health checks and some pages.
const MAX_HTTP_CONNECTIONS: usize = 128;

/// The flags for the HTTP port, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpArgs {
    /// Address for health checks, metrics and the admin page over HTTP: HOST:PORT, or `off`
    ///
    /// Without --http-tls-cert this port is not encrypted: restrict who can reach it.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_HTTP",
        default_value = "127.0.0.1:8080",
        value_parser = address
    )]
    http: HttpAddress,

    #[command(flatten)]
    pub(super) tls: HttpTlsArgs,

    /// Another address for metrics alone, at /metrics: HOST:PORT
    ///
    /// Without a host, all addresses. This port has no TLS, and no other endpoint.
    #[arg(long, value_name = "ADDR", env = "WEIR_METRICS", value_parser = tcp)]
    metrics: Option<String>,

    /// File with the admin token, which permits changes and shows clients over HTTP
    ///
    /// One line of at least 16 characters. Without a token these endpoints are disabled.
    #[arg(long, value_name = "PATH", env = "WEIR_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,

    /// Host name under which browsers and tools reach --http, besides localhost and IP addresses
    #[arg(
        long,
        value_name = "NAME",
        env = "WEIR_HTTP_HOST",
        value_delimiter = ','
    )]
    http_host: Vec<String>,

    /// Let other hosts charge any client's limits with POST /json, without the token
    #[arg(long, env = "WEIR_OPEN_JSON", value_parser = BoolishValueParser::new())]
    open_json: bool,

    /// Require the token for POST /json from this machine, too
    #[arg(
        long,
        env = "WEIR_JSON_TOKEN",
        value_parser = BoolishValueParser::new(),
        requires = "admin_token_file",
        conflicts_with = "open_json"
    )]
    json_token: bool,

    /// Also export metrics under the names used by envoyproxy/ratelimit
    #[arg(
        long,
        env = "WEIR_ENVOY_RATELIMIT_METRICS",
        value_parser = BoolishValueParser::new(),
        help_heading = "Compatibility"
    )]
    envoy_ratelimit_metrics: bool,
}

/// An address that can be none.
type HttpAddress = Option<String>;

impl HttpArgs {
    /// How to serve HTTP; none if not at all.
    pub(super) fn admin(&self) -> Option<AdminConfig> {
        let main = self.http.clone().map(|address| HttpPort {
            address,
            purpose: HttpPurpose::Main,
            setting: "--http",
        });
        let metrics = self.metrics.clone().map(|address| HttpPort {
            address,
            purpose: HttpPurpose::Metrics {
                path: "/metrics".to_owned(),
            },
            setting: "--metrics",
        });
        let ports: Vec<_> = main.into_iter().chain(metrics).collect();
        (!ports.is_empty()).then_some(AdminConfig {
            ports,
            token_file: self.admin_token_file.clone(),
            hosts: self.http_host.clone(),
            json: match (self.open_json, self.json_token) {
                (true, _) => JsonAccess::Everybody,
                (false, true) => JsonAccess::Nobody,
                (false, false) => JsonAccess::ThisMachine,
            },
            envoy_ratelimit_metrics: self.envoy_ratelimit_metrics,
            step: STEP,
            max_connections: MAX_HTTP_CONNECTIONS,
        })
    }
}

/// `HOST:PORT`, or `off`.
fn address(text: &str) -> Result<HttpAddress, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    tcp(text)
        .map(Some)
        .map_err(|_| "expected HOST:PORT, or :PORT for all addresses, such as :8080, or off")
}

/// `HOST:PORT` or `:PORT`.
fn tcp(text: &str) -> Result<String, &'static str> {
    match text.parse() {
        Ok(ListenConfig::Tcp(address)) => Ok(address),
        Ok(ListenConfig::Unix(_)) | Err(_) => {
            Err("expected HOST:PORT, or :PORT for all addresses, such as :9090")
        }
    }
}
