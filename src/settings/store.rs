//! Flags for the store: where counters are, and how to connect to Redis.
//!
//! [`StoreArgs`] is what clap parses; [`RedisSettings`] adds the files they name, and
//! [`RedisSettings::read`] reads these into a [`RedisConfig`]. No password appears in an error.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::store::{
    HashKey, Identity, InvalidAddress, Login, Password, RedisAddress, RedisClock, RedisConfig,
    RedisTls,
};

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

    /// PEM file with the CA certificates for Redis [default: the system's]
    #[arg(long, value_name = "FILE", env = "WEIR_REDIS_CA")]
    redis_ca: Option<PathBuf>,

    /// PEM file with weir's client certificate for Redis
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_REDIS_CERT",
        requires = "redis_key"
    )]
    redis_cert: Option<PathBuf>,

    /// PEM file with the private key of the client certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_REDIS_KEY",
        requires = "redis_cert"
    )]
    redis_key: Option<PathBuf>,

    /// Name that the certificate of Redis must have, if not the host of the address
    ///
    /// For servers that sentinels announce by address, and for tunnels. The nodes of a cluster must announce their names.
    #[arg(long, value_name = "NAME", env = "WEIR_REDIS_TLS_SERVER_NAME")]
    redis_tls_server_name: Option<String>,

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

/// The settings for Redis, with files not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// All settings that need no file.
    pub config: Result<RedisConfig, InvalidAddress>,
    /// The user name for the sentinels.
    pub sentinel_user: Option<String>,
    /// Whether the sentinels use TLS; `None` if they do as Redis does.
    pub sentinel_tls: Option<bool>,
    /// The name that the certificate of Redis must have.
    pub tls_server_name: Option<String>,
    /// The files to read.
    pub files: RedisFiles,
}

/// Files with secrets and certificates for Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFiles {
    /// The password of Redis, in the first line.
    pub password: Option<PathBuf>,
    /// The password of the sentinels, in the first line.
    pub sentinel_password: Option<PathBuf>,
    /// CA certificates, in PEM.
    pub ca: Option<PathBuf>,
    /// The client certificate and its private key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The hash key, in hexadecimal.
    pub hash_key: Option<PathBuf>,
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
            tls_server_name: self.redis_tls_server_name,
            files: RedisFiles {
                password: self.redis_password_file,
                sentinel_password: self.redis_sentinel_password_file,
                ca: self.redis_ca,
                identity: self.redis_cert.zip(self.redis_key),
                hash_key: self.hash_key_file,
            },
        })
    }
}

impl RedisSettings {
    /// Reads the files.
    ///
    /// # Errors
    /// If the address is invalid, or a file cannot be read or has invalid content.
    pub fn read(self) -> Result<RedisConfig, RedisSettingsError> {
        let mut config = self.config?;
        let files = self.files;
        if let Some(path) = &files.password {
            let password = first_line(path)?;
            config.address = config.address.with_password(Password::new(password));
        }
        if let Some(path) = &files.sentinel_password {
            let login = Login {
                user: self.sentinel_user,
                password: Some(Password::new(first_line(path)?)),
            };
            let address = config.address.with_sentinel_login(login);
            config.address = address.ok_or(RedisSettingsError::NoSentinels)?;
        }
        if let Some(tls) = self.sentinel_tls {
            let address = config.address.with_sentinel_tls(tls);
            config.address = address.ok_or(RedisSettingsError::NoSentinelsForTls)?;
        }
        let may_have_name = config.address.is_tls() && !config.address.is_cluster();
        if self.tls_server_name.is_some() && !may_have_name {
            return Err(RedisSettingsError::ServerName);
        }
        let identity = files.identity.map(|(certificate, key)| {
            Ok::<_, RedisSettingsError>(Identity {
                certificate: read_bytes(&certificate)?,
                key: read_bytes(&key)?,
            })
        });
        config.tls = RedisTls {
            ca: files.ca.as_deref().map(read_bytes).transpose()?,
            identity: identity.transpose()?,
            server_name: self.tls_server_name,
        };
        if let Some(path) = files.hash_key {
            let key = HashKey::from_hex(&first_line(&path)?);
            config.hash_key = Some(key.ok_or(RedisSettingsError::HashKey(path))?);
        }
        Ok(config)
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, RedisSettingsError> {
    let failed = |source| RedisSettingsError::Read {
        path: path.to_owned(),
        source,
    };
    fs::read(path).map_err(failed)
}

fn first_line(path: &Path) -> Result<String, RedisSettingsError> {
    let text = String::from_utf8(read_bytes(path)?);
    let text = text.map_err(|_| RedisSettingsError::NotUtf8(path.to_owned()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Why the settings for Redis are unusable.
#[derive(Debug, Error)]
pub enum RedisSettingsError {
    /// `--store` is not a valid address.
    #[error("invalid --store")]
    Address(#[from] InvalidAddress),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file is not text.
    #[error("{} is not valid UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// A file does not contain a hash key.
    #[error(
        "invalid hash key in {}: expected 32 hexadecimal digits, as from `openssl rand -hex 16`",
        .0.display()
    )]
    HashKey(PathBuf),
    /// There is a password for sentinels, but the address has none.
    #[error(
        "--redis-sentinel-password-file needs a --store with sentinels: redis+sentinel://HOST,HOST/SERVICE"
    )]
    NoSentinels,
    /// TLS was set for sentinels, but the address has none.
    #[error(
        "--redis-sentinel-tls needs a --store with sentinels: redis+sentinel://HOST,HOST/SERVICE"
    )]
    NoSentinelsForTls,
    /// A name to check is given where no certificate is checked by it.
    #[error(
        "--redis-tls-server-name needs a --store with TLS, rediss:// or rediss+sentinel://; the nodes of a cluster \
         must announce the names in their certificates (cluster-announce-hostname)"
    )]
    ServerName,
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
            "--redis-tls-server-name=redis.example",
            "--redis-sentinel-tls=off",
        ]);
        let config = config.unwrap();
        assert_eq!(config.tls.server_name.as_deref(), Some("redis.example"));
        let same = read(&[sentinels, "--redis-sentinel-tls=on"]).unwrap();
        assert_eq!(same.address, "rediss+sentinel://a,b/shop".parse().unwrap());
        assert_ne!(config.address, same.address);
        for (store, flag, named) in [
            ("redis://a", "--redis-tls-server-name=b", "rediss://"),
            (
                "rediss-cluster://a",
                "--redis-tls-server-name=b",
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
