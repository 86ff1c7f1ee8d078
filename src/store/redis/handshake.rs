//! What instances must agree on before they share counters: the format of the counters, and the key
//! that hashes their names.
//!
//! One key in Redis holds both. The first instance writes it; an instance that finds something it
//! cannot share reports [`Incompatible`] and counts locally. It verifies the key again at every
//! heartbeat, because Redis may lose its data.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::{Value, cmd};

use super::connect::RedisConnection;
use crate::store::{HashKey, Incompatible, KeyHasher, RngError, StoreError};

/// The format of counters, their names and the script's arguments. Every change needs a new number.
pub(super) const FORMAT: u32 = 1;

/// How long Redis keeps the key: ten years, the longest window, so that it outlives all counters.
const LIFETIME_MILLIS: u64 = 10 * 365 * 86_400 * 1_000;

/// The state of the agreement.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The name of the key in Redis.
    name: String,
    /// The hash key of `--hash-key-file`.
    configured: Option<HashKey>,
    current: Mutex<Current>,
    hasher: ArcSwap<KeyHasher>,
}

/// The hash key in use.
#[derive(Clone, Copy, Debug)]
struct Current {
    key: HashKey,
    /// Whether Redis has it, too.
    is_shared: bool,
}

impl Handshake {
    /// Nothing is agreed on yet; until then names are hashed with the configured key or a random
    /// one.
    pub(super) fn new(prefix: &str, configured: Option<HashKey>) -> Result<Self, RngError> {
        let key = match configured {
            Some(key) => key,
            None => HashKey::random()?,
        };
        let is_shared = false;
        Ok(Self {
            name: format!("{prefix}meta"),
            configured,
            current: Mutex::new(Current { key, is_shared }),
            hasher: ArcSwap::from_pointee(KeyHasher::new(key)),
        })
    }

    /// The name of the key in Redis.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        **self.hasher.load()
    }

    /// Writes the key if there is none, and adopts what it holds.
    pub(super) async fn negotiate(
        &self,
        connection: &mut RedisConnection,
    ) -> Result<(), StoreError> {
        let mut propose = cmd("SET");
        propose.arg(&self.name).arg(self.proposal()).arg("NX");
        propose.arg("PX").arg(LIFETIME_MILLIS);
        connection.send(&propose).await?;
        let mut renew = cmd("PEXPIRE");
        renew.arg(&self.name).arg(LIFETIME_MILLIS);
        connection.send(&renew).await?;
        self.verify(connection).await
    }

    /// Adopts what the key holds, in one round trip.
    pub(super) async fn verify(&self, connection: &mut RedisConnection) -> Result<(), StoreError> {
        match connection.send(cmd("GET").arg(&self.name)).await? {
            Value::BulkString(agreed) => Ok(self.accept(&String::from_utf8_lossy(&agreed))?),
            _ => Err(Incompatible::Gone.into()),
        }
    }

    fn proposal(&self) -> String {
        match self.configured {
            Some(key) => format!("{FORMAT} given {}", key.fingerprint()),
            None => format!("{FORMAT} random {}", self.current.lock().key.to_hex()),
        }
    }

    fn accept(&self, agreed: &str) -> Result<(), Incompatible> {
        let mut words = agreed.split(' ');
        let (format, kind, key) = (words.next(), words.next(), words.next());
        let found = format.and_then(|format| format.parse().ok());
        let found: u32 = found.ok_or(Incompatible::Unreadable)?;
        if found != FORMAT {
            let expected = FORMAT;
            return Err(Incompatible::Format { found, expected });
        }
        match (self.configured, kind, key) {
            (Some(ours), Some("given"), Some(key)) if key == ours.fingerprint() => Ok(()),
            (Some(_), Some("given"), Some(_)) => Err(Incompatible::OtherHashKey),
            (Some(_), Some("random"), Some(_)) => Err(Incompatible::HashKeyNotExpected),
            (None, Some("given"), Some(_)) => Err(Incompatible::HashKeyMissing),
            (None, Some("random"), Some(key)) => {
                self.adopt(HashKey::from_hex(key).ok_or(Incompatible::Unreadable)?);
                Ok(())
            }
            _ => Err(Incompatible::Unreadable),
        }
    }

    fn adopt(&self, key: HashKey) {
        let mut current = self.current.lock();
        if current.key != key {
            if current.is_shared {
                tracing::warn!("hash key in redis changed, existing counters are orphaned");
            }
            self.hasher.store(KeyHasher::new(key).into());
        }
        let is_shared = true;
        *current = Current { key, is_shared };
    }
}
