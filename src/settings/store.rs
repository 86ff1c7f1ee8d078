//! Where counters are kept, and how to get there.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::store::{
    HashKey, Identity, InvalidAddress, Password, RedisAddress, RedisClock, RedisConfig, RedisTls,
};

/// The arguments about the store, as they were given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Counters")]
pub(super) struct StoreArgs {
    /// Where counters are: memory, or Redis for all weirs that are to share them
    ///
    /// redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], redis+sentinel://HOST,HOST/SERVICE[/DATABASE] or
    /// redis-cluster://HOST,HOST; rediss://, rediss+sentinel:// and rediss-cluster:// for TLS.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_STORE",
        hide_env_values = true,
        default_value = "memory"
    )]
    store: StoreArg,

    /// A file with the password for Redis, instead of one in the address
    #[arg(long, value_name = "FILE", env = "WEIR_REDIS_PASSWORD_FILE")]
    redis_password_file: Option<PathBuf>,

    /// A PEM file with the authorities of Redis' certificate [default: those of the system]
    #[arg(long, value_name = "FILE", env = "WEIR_REDIS_CA")]
    redis_ca: Option<PathBuf>,

    /// A PEM file with weir's own certificate for Redis
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_REDIS_CERT",
        requires = "redis_key"
    )]
    redis_cert: Option<PathBuf>,

    /// A PEM file with the private key of that certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WEIR_REDIS_KEY",
        requires = "redis_cert"
    )]
    redis_key: Option<PathBuf>,

    /// What the names of all keys in Redis begin with
    #[arg(
        long,
        value_name = "TEXT",
        env = "WEIR_REDIS_PREFIX",
        default_value = "weir:"
    )]
    redis_prefix: String,

    /// A file with 32 hexadecimal digits, the same for all weirs: the key that hides clients' values in the names of
    /// counters [default: a random one that the first weir leaves in Redis]
    #[arg(long, value_name = "FILE", env = "WEIR_HASH_KEY_FILE")]
    hash_key_file: Option<PathBuf>,

    /// How long to wait for Redis before a rule's on_store_error holds; well under Envoy's own timeout, 20 by default
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_DEADLINE",
        default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=10_000)
    )]
    redis_deadline: u64,

    /// Whose clock windows go by
    #[arg(
        long,
        value_name = "CLOCK",
        env = "WEIR_REDIS_CLOCK",
        default_value = "redis"
    )]
    redis_clock: ClockArg,

    /// How long a counter over its limit is refused without asking Redis; 0 is not at all
    ///
    /// What is given back to it by another weir takes effect within this time.
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_REFUSE",
        default_value = "1000",
        value_parser = clap::value_parser!(u64).range(..=60_000)
    )]
    redis_refuse: u64,

    /// How long to count here before settling with Redis; 0 is to ask for each call
    ///
    /// For keys that are hit many times in this time. Each other weir can let through as much again as it takes in
    /// that time.
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "WEIR_REDIS_BATCH",
        default_value = "0",
        value_parser = clap::value_parser!(u64).range(..=1_000)
    )]
    redis_batch: u64,
}

#[derive(Clone, Debug)]
enum StoreArg {
    Memory,
    Redis(RedisAddress),
}

impl FromStr for StoreArg {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text {
            "memory" => Ok(Self::Memory),
            address => address.parse().map(Self::Redis),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockArg {
    /// Redis' own: one for all
    Redis,
    /// Each weir's, unless it is more than a second ahead of Redis'
    Weir,
}

/// Redis, and the files that it takes to come there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// All but what stands in files.
    pub config: RedisConfig,
    /// Files.
    pub files: RedisFiles,
}

/// Files about Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFiles {
    /// The password.
    pub password: Option<PathBuf>,
    /// The authorities of its certificate.
    pub authority: Option<PathBuf>,
    /// Our certificate and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The key of the counters' names.
    pub hash_key: Option<PathBuf>,
}

impl StoreArgs {
    pub(super) fn resolve(self) -> Option<RedisSettings> {
        let StoreArg::Redis(address) = self.store else {
            return None;
        };
        let config = RedisConfig {
            prefix: self.redis_prefix,
            deadline: Duration::from_millis(self.redis_deadline),
            clock: match self.redis_clock {
                ClockArg::Redis => RedisClock::Server,
                ClockArg::Weir => RedisClock::Caller,
            },
            refuse_locally: Duration::from_millis(self.redis_refuse),
            batch: Duration::from_millis(self.redis_batch),
            ..RedisConfig::new(address)
        };
        Some(RedisSettings {
            config,
            files: RedisFiles {
                password: self.redis_password_file,
                authority: self.redis_ca,
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
    /// When one cannot be read, or holds something else.
    pub fn read(self) -> Result<RedisConfig, RedisFileError> {
        let (mut config, files) = (self.config, self.files);
        if let Some(path) = &files.password {
            let password = text(path)?;
            config.address = config.address.with_password(Password::new(password));
        }
        let identity = files.identity.map(|(certificate, key)| {
            Ok(Identity {
                certificate: bytes(&certificate)?,
                key: bytes(&key)?,
            })
        });
        config.tls = RedisTls {
            authority: files.authority.as_deref().map(bytes).transpose()?,
            identity: identity.transpose()?,
        };
        if let Some(path) = files.hash_key {
            let key = HashKey::from_hex(&text(&path)?);
            config.hash_key = Some(key.ok_or(RedisFileError::NoHashKey(path))?);
        }
        Ok(config)
    }
}

fn bytes(path: impl AsRef<Path>) -> Result<Vec<u8>, RedisFileError> {
    let path = path.as_ref();
    fs::read(path).map_err(|error| RedisFileError::Unreadable(path.to_owned(), error))
}

/// The first line.
fn text(path: &Path) -> Result<String, RedisFileError> {
    let text = String::from_utf8(bytes(path)?);
    let text = text.map_err(|_| RedisFileError::NotUtf8(path.to_owned()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Why a file about Redis is of no use.
#[derive(Debug)]
pub enum RedisFileError {
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is no text.
    NotUtf8(PathBuf),
    /// It holds no key.
    NoHashKey(PathBuf),
}

impl fmt::Display for RedisFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Self::NotUtf8(path) => write!(f, "{} is no text in UTF-8", path.display()),
            Self::NoHashKey(path) => write!(
                f,
                "{} holds no key: expected 32 hexadecimal digits, such as `openssl rand -hex 16` prints",
                path.display()
            ),
        }
    }
}

impl std::error::Error for RedisFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::NotUtf8(_) | Self::NoHashKey(_) => None,
        }
    }
}
