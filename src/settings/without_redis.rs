//! What stands for `store.rs` in a build without Redis: one flag, which accepts memory alone.

use std::convert::Infallible;
use std::str::FromStr;

use clap::Args;
use thiserror::Error;

use super::ratelimit::RedisServer;
use crate::store::RedisConfig;

/// The flag for the store.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Counters")]
pub(super) struct StoreArgs {
    /// Where counters are kept: memory, for this weir was built without Redis
    #[arg(
        long,
        value_name = "STORE",
        env = "WEIR_STORE",
        hide_env_values = true,
        default_value = "memory"
    )]
    store: StoreArg,
}

/// Another store than memory is reported later: clap would quote its address, and with it a password.
#[derive(Clone, Copy, Debug)]
enum StoreArg {
    Memory,
    Other,
}

impl FromStr for StoreArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "memory" => Self::Memory,
            _ => Self::Other,
        })
    }
}

/// The wish for another store than memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings;

impl StoreArgs {
    pub(super) fn resolve(self) -> Option<RedisSettings> {
        match self.store {
            StoreArg::Memory => None,
            StoreArg::Other => Some(RedisSettings),
        }
    }
}

impl RedisSettings {
    /// Ignores the server, as this build cannot connect to one.
    pub(super) fn with_server(self, _server: RedisServer) -> Self {
        self
    }

    /// Always fails: this build has no Redis.
    ///
    /// # Errors
    /// Always.
    pub fn read(self) -> Result<RedisConfig, RedisSettingsError> {
        Err(RedisSettingsError)
    }
}

/// Counters cannot be where `--store` says.
#[derive(Clone, Copy, Debug, Error)]
#[error(
    "this weir was built without Redis: leave out --store, or build it with the Cargo feature `redis`"
)]
pub struct RedisSettingsError;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        store: StoreArgs,
    }

    #[test]
    fn another_store_than_memory_is_refused_without_its_address() {
        let resolve = |flag| {
            Serve::try_parse_from(["weir", flag])
                .unwrap()
                .store
                .resolve()
        };
        assert_eq!(resolve("--store=memory"), None);
        let settings = resolve("--store=redis://:open-sesame@redis").unwrap();
        let error = settings.read().unwrap_err().to_string();
        assert!(error.contains("built without Redis") && !error.contains("sesame"));
    }
}
