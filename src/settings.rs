//! What a user can set: flags, or `WEIR_…` variables where a flag is not given.
//!
//! The arguments are one type, the settings of weir's parts another; only this module knows both. A file has the flags of
//! one subject.

mod admin;
mod grpc;
mod policies;
mod ratelimit;
mod size;
// A build without Redis has one flag of them.
#[cfg_attr(not(feature = "redis"), path = "settings/without_redis.rs")]
mod store;
mod telemetry;
mod tls;
mod xds;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::policy::DomainDefaults;
use crate::server::admin::AdminConfig;
use crate::server::{Config as ServerConfig, ListenConfig, ReadyCondition};
use crate::store::MemoryConfig;
use crate::telemetry::{LogConfig, StatsdConfig, TraceConfig};
use crate::xds::XdsConfig;

pub use ratelimit::{InvalidValue, RatelimitError, ratelimit_settings, variable_table};
pub use size::memory;
#[cfg(feature = "redis")]
pub use store::RedisFiles;
pub use store::{RedisSettings, RedisSettingsError};
pub use tls::{TlsClientArgs, TlsSettings};
pub use xds::{XdsArgs, xds_server};

/// The longest time that a flag takes: a year, in seconds.
const MAX_SECS: u64 = 31_536_000;

/// The arguments of `weir serve`, as they were given.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    policies: policies::PolicyArgs,
    #[command(flatten)]
    grpc: grpc::GrpcArgs,
    #[command(flatten)]
    http: admin::HttpArgs,

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

    /// Folder to keep counters in over a restart; nothing is lost when weir is stopped, and at most a second when it is
    /// killed
    ///
    /// Created if it does not exist, and used by one process. Not for --store redis://, which survives a restart anyway.
    #[arg(
        long,
        value_name = "DIR",
        env = "WEIR_STATE",
        help_heading = "Counters"
    )]
    state: Option<PathBuf>,

    #[command(flatten)]
    store: store::StoreArgs,

    #[command(flatten)]
    telemetry: telemetry::TelemetryArgs,
}

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
    /// Files are read as envoyproxy/ratelimit does: in a folder whatever their names are, none is a policy too, and
    /// weir serves before they can be read.
    pub lenient_files: bool,
    /// What applies to all domains.
    pub domain_defaults: DomainDefaults,
    /// What must be true before health checks are good.
    pub ready_when: ReadyCondition,
    /// The share of a limit above which a hit is near it, if not the usual one.
    pub near_limit_ratio: Option<f32>,
    /// Where counters are sent for statsd; none if nowhere.
    pub statsd: Option<StatsdConfig>,
    /// Labels of all metrics under the names of envoyproxy/ratelimit.
    pub extra_labels: Vec<(String, String)>,
    /// What is to be logged at the start, as warnings.
    pub notices: Vec<String>,
    /// How often to look whether they have changed; none if never.
    pub reload_interval: Option<Duration>,
    /// Where to serve.
    pub listen: ListenConfig,
    /// What chooses that address, for errors: a flag or a variable.
    pub listen_setting: &'static str,
    /// How to serve the admin's pages; none if not at all.
    pub admin: Option<AdminConfig>,
    /// How to serve.
    pub server: ServerConfig,
    /// Memory for counters.
    pub memory: MemoryConfig,
    /// The folder that counters survive a restart in; none if they do not.
    pub state: Option<PathBuf>,
    /// Where to send spans; none if nowhere.
    pub traces: Option<TraceConfig>,
    /// How many refusals to log a second.
    pub log_refused_per_second: u64,
    /// How many series by value all rules together may have.
    pub max_series: usize,
    /// Where counters are shared; none if each weir counts for itself.
    pub redis: Option<RedisSettings>,
    /// Where counters of limits per second are, if not there.
    pub redis_per_second: Option<RedisSettings>,
    /// Certificates for the ports.
    pub tls: TlsSettings,
    /// How to log.
    pub log: LogConfig,
}

impl ServeArgs {
    /// Fills in what depends on the machine and the terminal.
    pub fn resolve(self) -> ServeSettings {
        ServeSettings {
            xds: self.policies.xds(),
            policies: self.policies.policies,
            allow_empty: self.policies.allow_empty,
            merge_domains: self.policies.merge_domains,
            lenient_files: false,
            domain_defaults: DomainDefaults::NONE,
            ready_when: ReadyCondition::default(),
            near_limit_ratio: None,
            statsd: None,
            extra_labels: Vec::new(),
            notices: Vec::new(),
            reload_interval: self.policies.reload_interval,
            server: self.grpc.server(),
            tls: TlsSettings {
                grpc: self.grpc.tls.files(),
                http: self.http.tls.files(),
            },
            listen: self.grpc.grpc,
            listen_setting: "--grpc",
            admin: self.http.admin(),
            memory: MemoryConfig {
                budget_bytes: self.memory,
            },
            state: self.state,
            redis: self.store.resolve(),
            redis_per_second: None,
            traces: self.telemetry.traces(),
            log_refused_per_second: self.telemetry.log_refused_per_second,
            max_series: self.telemetry.max_series,
            log: self.telemetry.log(),
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
