//! Flags for the store: where counters are, and how to connect to Redis.

mod redis_settings;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::tls::tls_client_args;
use crate::store::{InvalidAddress, RedisAddress, RedisClock, RedisConfig};

pub use redis_settings::{RedisFiles, RedisSettings, RedisSettingsError};

/// The flags for the store, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Counters")]
pub(super) struct StoreArgs {
    /// Where counters are kept: memory, or a Redis that several instances share
    ///
    /// redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE],
    /// redis+sentinel://HOST,HOST/SERVICE[/DATABASE] or redis-cluster://HOST,HOST; rediss://,
    /// rediss+sentinel:// and rediss-cluster:// for TLS;
    /// redis+unix://[USER:PASSWORD@]/PATH[?db=DATABASE] for a Unix socket.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_STORE",
        hide_env_values = true,
        default_value = "memory"
    )]
    store: StoreArg,

    /// File with the Redis password, instead of one in the address
    #[arg(long, value_name = "FILE", env = "WEIR_REDIS_PASSWORD_FILE")]
    redis_password_file: Option<PathBuf>,

    /// User for the sentinels, if they require one
    #[arg(
        long,
        value_name = "USER",
        env = "WEIR_REDIS_SENTINEL_USER",
        requires = "redis_sentinel_password_file"
    )]
    redis_sentinel_user: Option<String>,

    /// File with the password for the sentinels; they never receive the Redis password
    #[arg(long, value_name = "FILE", env = "WEIR_REDIS_SENTINEL_PASSWORD_FILE")]
    redis_sentinel_password_file: Option<PathBuf>,

    #[command(flatten)]
    redis_tls: RedisTlsArgs,

    /// Whether the sentinels use TLS [default: as Redis does]
    #[arg(long, value_name = "SWITCH", env = "WEIR_REDIS_SENTINEL_TLS")]
    redis_sentinel_tls: Option<SentinelTlsArg>,

    /// Prefix of all keys in Redis
    #[arg(
        long,
        value_name = "TEXT",
        env = "WEIR_REDIS_PREFIX",
        default_value = "weir:"
    )]
    redis_prefix: String,

    /// File with the counter hash key, 32 hexadecimal digits, the same for all instances
    /// [default: a random key kept in Redis]
    ///
    /// The keyed hash hides clients' values in the names of counters.
    #[arg(long, value_name = "FILE", env = "WEIR_HASH_KEY_FILE")]
    hash_key_file: Option<PathBuf>,

    /// How long to wait for Redis before a rule's on_store_error applies; keep it below Envoy's
    /// timeout (20 by default)
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_DEADLINE",
        default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=10_000)
    )]
    redis_deadline: u64,

    /// Clock that windows follow
    #[arg(
        long,
        value_name = "CLOCK",
        env = "WEIR_REDIS_CLOCK",
        default_value = "redis"
    )]
    redis_clock: ClockArg,

    /// How long a counter over its limit is refused without asking Redis; 0 disables it
    ///
    /// Refunds and resets made by other instances take effect within this time.
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_OVER_LIMIT_CACHE_TTL",
        default_value = "1000",
        value_parser = clap::value_parser!(u64).range(..=60_000)
    )]
    redis_over_limit_cache_ttl: u64,

    /// How often to flush locally counted hits to Redis; 0 asks Redis for every call
    ///
    /// Useful for counters with many hits per interval. Every other instance may admit up to what
    /// it receives in this time beyond the limit.
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_FLUSH_INTERVAL",
        default_value = "0",
        value_parser = clap::value_parser!(u64).range(..=1_000)
    )]
    redis_flush_interval: u64,
}

tls_client_args! {
    /// The flags for TLS to Redis, as given.
    pub(super) struct RedisTlsArgs { flags: "redis-", variables: "WEIR_REDIS_", server: "Redis" }
}

/// An invalid address is kept and reported later: clap would quote it, and with it a password.
#[derive(Clone, Debug)]
enum StoreArg {
    Memory,
    Redis(Result<RedisAddress, InvalidAddress>),
}

impl FromStr for StoreArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "memory" => Self::Memory,
            address => Self::Redis(address.parse()),
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockArg {
    /// The Redis server's clock, shared by all instances
    Redis,
    /// Each instance's own clock, unless it is more than a second ahead of Redis
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SentinelTlsArg {
    /// With the CA and client certificates for Redis
    On,
    /// Without TLS, even if Redis uses it
    Off,
}

impl StoreArgs {
    pub(super) fn resolve(self) -> Option<RedisSettings> {
        let StoreArg::Redis(address) = self.store else {
            return None;
        };
        let config = address.map(|address| RedisConfig {
            prefix: self.redis_prefix,
            deadline: Duration::from_millis(self.redis_deadline),
            clock: match self.redis_clock {
                ClockArg::Redis => RedisClock::Redis,
                ClockArg::Local => RedisClock::Local,
            },
            over_limit_cache_ttl: Duration::from_millis(self.redis_over_limit_cache_ttl),
            flush_interval: Duration::from_millis(self.redis_flush_interval),
            ..RedisConfig::new(address)
        });
        Some(RedisSettings {
            config,
            sentinel_user: self.redis_sentinel_user,
            sentinel_tls: self.redis_sentinel_tls.map(|tls| tls == SentinelTlsArg::On),
            tls: self.redis_tls.options(),
            files: RedisFiles {
                password: self.redis_password_file,
                sentinel_password: self.redis_sentinel_password_file,
                hash_key: self.hash_key_file,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        store: StoreArgs,
    }

    fn resolve(flags: &[&str]) -> Option<RedisSettings> {
        let args = ["weir"].iter().chain(flags);
        Serve::try_parse_from(args).unwrap().store.resolve()
    }

    #[test]
    fn counters_are_in_memory_by_default() {
        assert_eq!(resolve(&[]), None);
        assert_eq!(resolve(&["--store=memory"]), None);
    }

    #[test]
    fn flags_set_the_config() {
        let settings = resolve(&[
            "--store=rediss://weir@redis/2",
            "--redis-prefix=shop:",
            "--redis-deadline=5",
            "--redis-clock=local",
            "--redis-over-limit-cache-ttl=0",
            "--redis-flush-interval=20",
        ]);
        let config = settings.unwrap().read().unwrap();
        assert_eq!(config.address.to_string(), "rediss://redis:6379/2");
        assert_eq!(config.prefix, "shop:");
        assert_eq!(config.deadline, Duration::from_millis(5));
        assert_eq!(config.clock, RedisClock::Local);
        assert_eq!(config.over_limit_cache_ttl, Duration::ZERO);
        assert_eq!(config.flush_interval, Duration::from_millis(20));
    }

    #[test]
    fn tls_settings_need_an_address_that_they_apply_to() {
        let read = |flags: &[&str]| resolve(flags).unwrap().read();
        let sentinels = "--store=rediss+sentinel://a,b/shop";
        let config = read(&[
            sentinels,
            "--redis-server-name=redis.example",
            "--redis-sentinel-tls=off",
        ]);
        let config = config.unwrap();
        assert_eq!(config.tls.server_name.as_deref(), Some("redis.example"));
        let same = read(&[sentinels, "--redis-sentinel-tls=on"]).unwrap();
        assert_eq!(same.address, "rediss+sentinel://a,b/shop".parse().unwrap());
        assert_ne!(config.address, same.address);
        for (store, flag, named) in [
            ("redis://a", "--redis-server-name=b", "rediss://"),
            (
                "rediss-cluster://a",
                "--redis-server-name=b",
                "cluster-announce-hostname",
            ),
            (
                "rediss://a",
                "--redis-sentinel-tls=off",
                "redis+sentinel://",
            ),
        ] {
            let error = read(&[&format!("--store={store}"), flag]).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn an_invalid_address_does_not_show_its_password() {
        let settings = resolve(&["--store=redys://:open-sesame@redis"]).unwrap();
        let error = settings.read().unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains("redis://HOST"), "{reason}");
        assert!(!format!("{error} {reason} {error:?}").contains("sesame"));
    }
}
