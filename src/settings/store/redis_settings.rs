//! The settings for Redis and the files that they name. No password appears in an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::client::TlsOptions;
use crate::pem::{self, IdentityText, PemError};
use crate::settings::ratelimit::{RedisServer, UserPassword};
use crate::store::{
    HashKey, Identity, InvalidAddress, Login, Password, RedisAddress, RedisConfig, RedisTls,
};

/// The settings for Redis, with files not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// All settings that need no file.
    pub config: Result<RedisConfig, InvalidAddress>,
    /// The user name for the sentinels.
    pub sentinel_user: Option<String>,
    /// Whether the sentinels use TLS; `None` if they do as Redis does.
    pub sentinel_tls: Option<bool>,
    /// The certificates.
    pub tls: TlsOptions,
    /// The files to read.
    pub files: RedisFiles,
}

impl From<UserPassword> for Login {
    fn from(login: UserPassword) -> Self {
        Self {
            user: login.user,
            password: Some(Password::new(login.password)),
        }
    }
}

/// Files with secrets for Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFiles {
    /// The password of Redis, in the first line.
    pub password: Option<PathBuf>,
    /// The password of the sentinels, in the first line.
    pub sentinel_password: Option<PathBuf>,
    /// The hash key, in hexadecimal.
    pub hash_key: Option<PathBuf>,
}

impl RedisSettings {
    /// The same settings for another server.
    pub(in crate::settings) fn with_server(self, server: RedisServer) -> Self {
        let address = server.address.parse::<RedisAddress>();
        let address = address.map(|address| match server.login {
            Some(login) => address.with_login(login.into()),
            None => address,
        });
        let address = address.map(|address| match server.sentinel_login {
            Some(login) => {
                let with_login = address.clone().with_sentinel_login(login.into());
                with_login.unwrap_or(address)
            }
            None => address,
        });
        let config = |address| {
            let base = self.config?;
            Ok(RedisConfig {
                address,
                prefix: server.prefix,
                over_limit_cache_ttl: match server.has_local_cache {
                    true => base.over_limit_cache_ttl,
                    false => Duration::ZERO,
                },
                ..base
            })
        };
        Self {
            config: address.and_then(config),
            tls: TlsOptions {
                ca: server.ca.or(self.tls.ca),
                identity: server.identity.or(self.tls.identity),
                ..self.tls
            },
            ..self
        }
    }

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
        if self.tls.server_name.is_some() && !may_have_name {
            return Err(RedisSettingsError::ServerName);
        }
        config.tls = read_tls(self.tls)?;
        if let Some(path) = files.hash_key {
            let key = HashKey::from_hex(&first_line(&path)?);
            config.hash_key = Some(key.ok_or(RedisSettingsError::HashKey(path))?);
        }
        Ok(config)
    }
}

fn read_tls(tls: TlsOptions) -> Result<RedisTls, PemError> {
    let identity = tls.identity.map(|(certificate, key)| {
        let IdentityText { certificate, key } = IdentityText::read(&certificate, &key)?;
        Ok::<_, PemError>(Identity { certificate, key })
    });
    Ok(RedisTls {
        ca: tls.ca.as_deref().map(pem::roots_text).transpose()?,
        identity: identity.transpose()?,
        server_name: tls.server_name,
    })
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
    #[error("invalid --store, or REDIS_URL of `weir ratelimit`")]
    Address(#[from] InvalidAddress),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file with certificates or a key cannot be used.
    #[error(transparent)]
    Pem(#[from] PemError),
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
        "--redis-server-name needs a --store with TLS, rediss:// or rediss+sentinel://; the nodes of a cluster \
         must announce the names in their certificates (cluster-announce-hostname)"
    )]
    ServerName,
}
