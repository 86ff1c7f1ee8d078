//! What a store in Redis is given.

use std::fmt;
use std::time::Duration;

use super::address::RedisAddress;
use super::script::RedisClock;
use crate::store::HashKey;

/// What a store in Redis is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Where it is.
    pub address: RedisAddress,
    /// How to know it, and how it knows us; of no use without TLS.
    pub tls: RedisTls,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// The key of the counters' names; none if Redis is to hold one for all.
    pub hash_key: Option<HashKey>,
    /// How long to wait for an answer.
    pub deadline: Duration,
    /// Whose clock windows go by.
    pub clock: RedisClock,
    /// How long a counter that is over its limit is refused without asking; nothing if it is not. After that time
    /// at the latest weir sees what others gave back to it.
    pub refuse_locally: Duration,
    /// How long counters are counted here before that is settled with Redis; nothing if every hit is asked for.
    pub batch: Duration,
    /// How long a counter is kept after it says nothing any more.
    pub kept_after_end: Duration,
}

impl RedisConfig {
    /// The usual settings.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            tls: RedisTls::default(),
            prefix: "weir:".to_owned(),
            hash_key: None,
            deadline: Duration::from_millis(10),
            clock: RedisClock::Server,
            refuse_locally: Duration::from_secs(1),
            batch: Duration::ZERO,
            kept_after_end: Duration::from_secs(10),
        }
    }
}

/// Certificates, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// The authorities that Redis' certificate may come from; none for those of the system.
    pub authority: Option<Vec<u8>>,
    /// As whom to come.
    pub identity: Option<Identity>,
}

/// A client's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("authority", &self.authority.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}
