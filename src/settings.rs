//! What a user can set: flags, or `WEIR_…` variables where a flag is not given.
//!
//! The arguments are one type, the settings of weir's parts another; only this module knows both.

mod size;
// A build without Redis has one flag of them.
#[cfg_attr(not(feature = "redis"), path = "settings/without_redis.rs")]
mod store;
mod tls;
mod xds;

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use crate::server::admin::{AdminConfig, JsonAccess};
use crate::server::{Config as ServerConfig, ListenConfig};
use crate::store::MemoryConfig;
use crate::telemetry::{CollectorAddress, DEFAULT_MAX_SERIES, LogConfig, TraceConfig};
use crate::xds::XdsConfig;

pub use size::memory;
#[cfg(feature = "redis")]
pub use store::RedisFiles;
pub use store::{RedisSettings, RedisSettingsError};
pub use tls::TlsSettings;
pub use xds::{XdsArgs, xds_server};

/// How long calls may take to end after the drain. Envoy gives up on a call after 20 ms by default.
const GRACE: Duration = Duration::from_secs(5);

/// The interval of the history on the page: its 180 steps are a quarter of an hour.
const STEP: Duration = Duration::from_secs(5);

/// HTTP connections that may be open at once: scrapes, health checks and some pages.
const MAX_HTTP_CONNECTIONS: usize = 128;

/// The arguments of `weir serve`, as they were given.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Policy files, and folders of them (*.yaml and *.yml, but not *.test.yaml)
    ///
    /// Can be given more than once, or as a list with commas.
    #[arg(
        long,
        value_name = "PATH",
        env = "WEIR_POLICIES",
        value_delimiter = ',',
        default_value = "config",
        help_heading = "Policies"
    )]
    policies: Vec<PathBuf>,

    /// Take the policies from this configuration server (xDS) instead of files: HOST:PORT
    ///
    /// Until the first configuration arrives, calls are answered with UNAVAILABLE.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_XDS",
        conflicts_with = "policies",
        value_parser = xds_server
    )]
    xds: Option<String>,

    #[command(flatten)]
    xds_client: XdsArgs,

    /// Start even if the policies define no domain, and limit nothing until they do
    #[arg(
        long,
        env = "WEIR_ALLOW_EMPTY",
        value_parser = BoolishValueParser::new(),
        help_heading = "Policies"
    )]
    allow_empty: bool,

    /// Merge files that define the same domain
    #[arg(
        long,
        env = "WEIR_MERGE_DOMAINS",
        value_parser = BoolishValueParser::new(),
        help_heading = "Policies"
    )]
    merge_domains: bool,
    /// Interval for checking the policy files for changes; 0 disables it (SIGHUP still reloads)
    ///
    /// A change takes effect once two consecutive checks have seen it.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_RELOAD_INTERVAL",
        default_value = "1",
        value_parser = interval,
        help_heading = "Policies"
    )]
    reload_interval: Interval,

    /// Address for gRPC: HOST:PORT or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_GRPC",
        default_value = "127.0.0.1:8081",
        help_heading = "Addresses"
    )]
    grpc: ListenConfig,

    /// Address for health checks, metrics and the admin page over HTTP: HOST:PORT, or `off`
    ///
    /// This port is not encrypted: restrict who can reach it.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_HTTP",
        default_value = "127.0.0.1:8080",
        value_parser = http,
        help_heading = "Addresses"
    )]
    http: Http,

    /// File with the admin token, which permits changes and shows clients over HTTP
    ///
    /// One line of at least 16 characters. Without a token these endpoints are disabled.
    #[arg(
        long,
        value_name = "PATH",
        env = "WEIR_ADMIN_TOKEN_FILE",
        help_heading = "Addresses"
    )]
    admin_token_file: Option<PathBuf>,

    /// Host name under which browsers and tools reach --http, besides localhost and IP addresses
    #[arg(
        long,
        value_name = "NAME",
        env = "WEIR_HTTP_HOST",
        value_delimiter = ',',
        help_heading = "Addresses"
    )]
    http_host: Vec<String>,

    /// Let other hosts charge any client's limits with POST /json, without the token
    #[arg(
        long,
        env = "WEIR_OPEN_JSON",
        value_parser = BoolishValueParser::new(),
        help_heading = "Addresses"
    )]
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

    /// Most series by value of all rules with `detailed_metric` or `value_to_metric` together
    ///
    /// Further values are counted in one series of the rule, `values="other"`. A rule has at most 1000.
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_MAX_SERIES",
        default_value_t = DEFAULT_MAX_SERIES
    )]
    max_series: usize,

    /// Also export metrics under the names used by envoyproxy/ratelimit
    #[arg(
        long,
        env = "WEIR_ENVOY_RATELIMIT_METRICS",
        value_parser = BoolishValueParser::new(),
        help_heading = "Compatibility"
    )]
    envoy_ratelimit_metrics: bool,

    /// Also describe the request in `dynamic_metadata`, as envoyproxy/ratelimit does with RESPONSE_DYNAMIC_METADATA
    ///
    /// The fields are domain, descriptors and hitsAddend; values of secret keys are hidden.
    #[arg(
        long,
        env = "WEIR_REQUEST_METADATA",
        value_parser = BoolishValueParser::new(),
        help_heading = "Compatibility"
    )]
    request_metadata: bool,

    /// Number of worker threads [default: one per core]
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_WORKERS",
        help_heading = "Connections"
    )]
    workers: Option<NonZeroUsize>,

    /// Memory for counters, in bytes or with a unit (k, M, G, KiB, MiB, GiB)
    ///
    /// When it is full, the least recently used counters are evicted.
    #[arg(
        long,
        value_name = "BYTES",
        env = "WEIR_MEMORY",
        default_value = "1GiB",
        value_parser = size::memory,
        help_heading = "Counters"
    )]
    memory: u64,

    #[command(flatten)]
    store: store::StoreArgs,

    #[command(flatten)]
    tls: tls::TlsArgs,

    /// How long to keep serving after SIGTERM or SIGINT, while health checks report NOT_SERVING
    ///
    /// Ends early when no connection is open. Calls then have 5 seconds to finish. A second signal exits immediately.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_DRAIN",
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(..=MAX_SECS),
        help_heading = "Connections"
    )]
    drain: u64,

    /// Ask clients to reconnect after this time (± 10 %), so that they spread over servers; 0 disables it
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_MAX_CONNECTION_AGE",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=MAX_SECS),
        help_heading = "Connections"
    )]
    max_connection_age: u64,

    /// Maximum number of open gRPC connections; more are closed as they come
    ///
    /// Lowered to what the limit on open files allows (`ulimit -n`).
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_MAX_CONNECTIONS",
        default_value = "10000",
        help_heading = "Connections"
    )]
    max_connections: NonZeroUsize,

    /// Memory for messages that have arrived in part, of all connections together
    ///
    /// A call that finds none left is answered with RESOURCE_EXHAUSTED. Messages of usual size never need it.
    #[arg(
        long,
        value_name = "BYTES",
        env = "WEIR_GRPC_BUFFER",
        default_value = "64MiB",
        value_parser = size::buffer,
        help_heading = "Connections"
    )]
    grpc_buffer: usize,

    /// Export decision spans to this OTLP/gRPC collector: HOST:PORT, http://HOST:PORT or https://HOST:PORT
    ///
    /// The port is usually 4317. The sampling flag of a call's `traceparent` is always followed.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_OTLP",
        help_heading = "Telemetry"
    )]
    otlp: Option<CollectorAddress>,

    /// CA certificates of the collector, in PEM [default: those of the system]
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_OTLP_CA",
        requires = "otlp",
        help_heading = "Telemetry"
    )]
    otlp_ca: Option<PathBuf>,

    /// Fraction of calls without a `traceparent` to trace, from 0 to 1
    #[arg(
        long,
        value_name = "RATIO",
        env = "WEIR_OTLP_SAMPLE_RATIO",
        default_value_t = 0.01,
        value_parser = ratio,
        help_heading = "Telemetry"
    )]
    otlp_sample_ratio: f64,

    /// Log up to N refused requests per second; values of secret keys are hidden
    #[arg(
        long,
        value_name = "N",
        env = "WEIR_LOG_REFUSED_PER_SECOND",
        default_value_t = 0,
        help_heading = "Telemetry"
    )]
    log_refused_per_second: u64,

    /// Format of the log on stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WEIR_LOG_FORMAT",
        default_value = "auto",
        help_heading = "Telemetry"
    )]
    log_format: LogFormat,

    /// Minimum level that is logged
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WEIR_LOG_LEVEL",
        default_value = "info",
        help_heading = "Telemetry"
    )]
    log_level: LogLevel,
}

/// The longest time that a flag takes: a year, in seconds.
const MAX_SECS: u64 = 31_536_000;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// text on a terminal, otherwise json
    Auto,
    /// Text
    Text,
    /// One JSON object per line
    Json,
}

/// How important an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// An address that can be none.
type Http = Option<String>;

/// A length of time that can be none.
type Interval = Option<Duration>;

/// What `weir serve` needs, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeSettings {
    /// Files and folders.
    pub policies: Vec<PathBuf>,
    /// Where policies come from instead of files; none if from files.
    pub xds: Option<XdsConfig>,
    /// Serves although no domain is defined.
    pub allow_empty: bool,
    /// Files of one domain are merged.
    pub merge_domains: bool,
    /// How often to look whether they have changed; none if never.
    pub reload_interval: Option<Duration>,
    /// Where to serve.
    pub listen: ListenConfig,
    /// How to serve the admin's pages; none if not at all.
    pub admin: Option<AdminConfig>,
    /// How to serve.
    pub server: ServerConfig,
    /// Memory for counters.
    pub memory: MemoryConfig,
    /// Where to send spans; none if nowhere.
    pub traces: Option<TraceConfig>,
    /// How many refusals to log a second.
    pub log_refused_per_second: u64,
    /// How many series by value all rules together may have.
    pub max_series: usize,
    /// Where counters are shared; none if each weir counts for itself.
    pub redis: Option<RedisSettings>,
    /// Certificates for the ports.
    pub tls: TlsSettings,
    /// How to log.
    pub log: LogConfig,
}

impl ServeArgs {
    /// Fills in what depends on the machine and the terminal.
    pub fn resolve(self) -> ServeSettings {
        let workers = self
            .workers
            .unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let max_connection_age =
            Some(Duration::from_secs(self.max_connection_age)).filter(|age| !age.is_zero());
        ServeSettings {
            policies: self.policies,
            xds: self.xds.map(|server| self.xds_client.resolve(server)),
            allow_empty: self.allow_empty,
            merge_domains: self.merge_domains,
            reload_interval: self.reload_interval,
            listen: self.grpc,
            admin: self.http.map(|address| AdminConfig {
                address,
                token_file: self.admin_token_file,
                hosts: self.http_host,
                json: match (self.open_json, self.json_token) {
                    (true, _) => JsonAccess::Everybody,
                    (false, true) => JsonAccess::Nobody,
                    (false, false) => JsonAccess::ThisMachine,
                },
                envoy_ratelimit_metrics: self.envoy_ratelimit_metrics,
                step: STEP,
                max_connections: MAX_HTTP_CONNECTIONS,
            }),
            server: ServerConfig {
                workers,
                drain: Duration::from_secs(self.drain),
                grace: GRACE,
                max_connection_age,
                max_connections: self.max_connections.get(),
                buffer_bytes: self.grpc_buffer,
                request_metadata: self.request_metadata,
            },
            memory: MemoryConfig {
                budget_bytes: self.memory,
            },
            traces: self.otlp.map(|collector| TraceConfig {
                collector,
                ca: self.otlp_ca,
                sample_ratio: self.otlp_sample_ratio,
            }),
            log_refused_per_second: self.log_refused_per_second,
            max_series: self.max_series,
            redis: self.store.resolve(),
            tls: self.tls.resolve(),
            log: LogConfig {
                level: self.log_level.into(),
                json: match self.log_format {
                    LogFormat::Auto => !std::io::stderr().is_terminal(),
                    LogFormat::Text => false,
                    LogFormat::Json => true,
                },
            },
        }
    }
}

/// `HOST:PORT`, or `off`.
fn http(text: &str) -> Result<Http, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    match text.parse() {
        Ok(ListenConfig::Tcp(address)) => Ok(Some(address)),
        Ok(ListenConfig::Unix(_)) | Err(_) => {
            Err("expected HOST:PORT, such as 0.0.0.0:8080, or off")
        }
    }
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok();
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or("expected a number from 0 to 1")
}

/// Seconds, with a fraction if need be.
fn interval(text: &str) -> Result<Interval, &'static str> {
    let secs: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    let interval = Duration::try_from_secs_f64(secs).ok();
    let interval = interval.filter(|interval| interval.as_secs() <= MAX_SECS);
    let interval = interval.ok_or("expected 0 to 31536000 seconds")?;
    Ok(Some(interval).filter(|interval| !interval.is_zero()))
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn resolve(flags: &[&str]) -> Result<ServeSettings, clap::Error> {
        let args = ["weir"].iter().chain(flags);
        Ok(Serve::try_parse_from(args)?.args.resolve())
    }

    #[test]
    fn a_bare_serve_listens_on_loopback_with_a_gibibyte() {
        let settings = resolve(&[]).unwrap();
        assert_eq!(settings.policies, [PathBuf::from("config")]);
        assert_eq!(settings.reload_interval, Some(Duration::from_secs(1)));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(settings.memory.budget_bytes, 1 << 30);
        assert!(!settings.merge_domains);
        assert_eq!(settings.server.drain, Duration::from_secs(5));
        assert_eq!(settings.server.max_connection_age, None);
        assert_eq!(settings.server.max_connections, 10_000);
        assert_eq!(settings.server.buffer_bytes, 64 << 20);
        assert_eq!(settings.log.level, tracing::Level::INFO);
    }

    #[test]
    fn flags_are_taken() {
        let settings = resolve(&[
            "--policies=a",
            "--policies=b,c",
            "--merge-domains",
            "--reload-interval=0.25",
            "--grpc=unix:/run/weir.sock",
            "--workers=3",
            "--memory=2M",
            "--drain=0",
            "--max-connection-age=60",
            "--max-connections=5",
            "--grpc-buffer=32MiB",
            "--log-format=text",
            "--log-level=warn",
        ])
        .unwrap();
        assert_eq!(settings.policies, ["a", "b", "c"].map(PathBuf::from));
        assert!(settings.merge_domains);
        assert_eq!(settings.reload_interval, Some(Duration::from_millis(250)));
        assert_eq!(settings.listen, ListenConfig::Unix("/run/weir.sock".into()));
        assert_eq!(settings.server.workers.get(), 3);
        assert_eq!(settings.server.drain, Duration::ZERO);
        assert_eq!(
            settings.server.max_connection_age,
            Some(Duration::from_secs(60))
        );
        assert_eq!(settings.server.max_connections, 5);
        assert_eq!(settings.server.buffer_bytes, 32 << 20);
        assert_eq!(settings.memory.budget_bytes, 2_000_000);
        assert_eq!(
            settings.log,
            LogConfig {
                level: tracing::Level::WARN,
                json: false
            }
        );
    }

    #[test]
    fn a_collector_has_an_address_and_certificates() {
        let traces = resolve(&["--otlp=https://collector", "--otlp-ca=ca.pem"]);
        let traces = traces.unwrap().traces.unwrap();
        assert_eq!(traces.collector.to_string(), "https://collector:443");
        assert_eq!(traces.ca, Some(PathBuf::from("ca.pem")));
    }

    #[test]
    fn an_interval_of_nothing_is_never() {
        assert_eq!(
            resolve(&["--reload-interval=0"]).unwrap().reload_interval,
            None
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for flag in [
            "--reload-interval=-1",
            "--reload-interval=often",
            "--grpc=8081",
            "--grpc=:8081",
            "--grpc=unix:",
            "--grpc=localhost:x",
            "--workers=0",
            "--reload-interval=1e18",
            "--drain=18446744073709551615",
            "--max-connection-age=18446744073709551615",
            "--otlp=ftp://x",
            "--otlp=ftp://x:1",
            "--otlp=http://",
            "--otlp-ca=ca.pem",
            "--memory=lots",
            "--memory=0",
            "--drain=-1",
            "--max-connections=0",
            "--grpc-buffer=1MiB",
            "--log-format=xml",
            "--log-level=loud",
        ] {
            assert!(resolve(&[flag]).is_err(), "{flag}");
        }
    }
}
