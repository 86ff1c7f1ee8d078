//! The configuration of a store in Redis.

use std::fmt;
use std::time::Duration;

use super::address::RedisAddress;
use super::time::RedisClock;
use crate::store::HashKey;

/// The configuration of a store in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// The server, the sentinels or the cluster.
    pub address: RedisAddress,
    /// Certificates; ignored without TLS.
    pub tls: RedisTls,
    /// The prefix of all keys.
    pub prefix: String,
    /// The key that hashes the names of counters; `None` to share a random one through Redis.
    pub hash_key: Option<HashKey>,
    /// How long a request waits for Redis.
    pub deadline: Duration,
    /// The clock that windows follow.
    pub clock: RedisClock,
    /// How long a counter over its limit is refused without asking Redis; zero to always ask.
    /// Refunds by other instances take effect within this time.
    pub over_limit_cache_ttl: Duration,
    /// How long hits are counted locally between two flushes; zero to ask Redis for every hit.
    pub flush_interval: Duration,
    /// Counters whose last reported state is remembered locally, at most.
    pub max_cached_counters: u64,
    /// How long Redis keeps a counter after it has ended.
    pub grace_ttl: Duration,
}

impl RedisConfig {
    /// The default settings.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            tls: RedisTls::default(),
            prefix: "weir:".to_owned(),
            hash_key: None,
            deadline: Duration::from_millis(10),
            clock: RedisClock::Redis,
            over_limit_cache_ttl: Duration::from_secs(1),
            flush_interval: Duration::ZERO,
            max_cached_counters: 131_072,
            grace_ttl: Duration::from_secs(10),
        }
    }
}

/// Certificates, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// The CA certificates to trust; `None` for those of the system.
    pub ca: Option<Vec<u8>>,
    /// The client certificate, if Redis asks for one.
    pub identity: Option<Identity>,
    /// The name that the certificate of the server must have, if not the host of its address; not for clusters.
    pub server_name: Option<String>,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and the intermediate certificates up to its CA.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Shows which certificates are present, not their content.
impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}
