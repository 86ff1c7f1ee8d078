//! What all who share counters must have in common: the format of the counters, and the key of their names.
//!
//! It stands under one name in Redis. Whoever comes first writes it; whoever finds something that it cannot share says so
//! and counts for itself.

use std::fmt;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::{RedisError, Value, cmd};

use super::connect::Link;
use crate::store::{HashKey, KeyHasher, RngError};

/// The format of counters, of their names, and of what the script is asked. One that is changed is another.
pub(super) const FORMAT: u32 = 1;

/// No window is longer than ten years, so no counter outlives what its name was made with.
const KEPT_MILLIS: u64 = 10 * 365 * 86_400 * 1_000;

/// What this weir knows of it.
#[derive(Debug)]
pub(super) struct Agreement {
    name: String,
    /// The key that the operator gave.
    given: Option<HashKey>,
    /// The key in use, and whether it was agreed on.
    key: Mutex<(HashKey, bool)>,
    hasher: ArcSwap<KeyHasher>,
}

impl Agreement {
    /// Nothing is agreed on yet: names are made with the key that was given, or with one of our own.
    pub(super) fn new(prefix: &str, given: Option<HashKey>) -> Result<Self, RngError> {
        let key = match given {
            Some(key) => key,
            None => HashKey::random()?,
        };
        Ok(Self {
            name: format!("{prefix}meta"),
            given,
            key: Mutex::new((key, false)),
            hasher: ArcSwap::from_pointee(KeyHasher::new(key)),
        })
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        **self.hasher.load()
    }

    /// Proposes what we have, and takes what stands there.
    pub(super) async fn reach(&self, link: &mut Link) -> Result<(), Disagreement> {
        let mut propose = cmd("SET");
        propose.arg(&self.name).arg(self.proposal()).arg("NX");
        propose.arg("PX").arg(KEPT_MILLIS);
        link.send(&propose).await?;
        link.send(cmd("PEXPIRE").arg(&self.name).arg(KEPT_MILLIS))
            .await?;
        self.look(link).await
    }

    /// Takes what stands there, in one round trip.
    pub(super) async fn look(&self, link: &mut Link) -> Result<(), Disagreement> {
        match link
            .send(cmd("GET").arg(&self.name))
            .await?
            .extract_error()?
        {
            Value::BulkString(agreed) => self.take(&String::from_utf8_lossy(&agreed)),
            _ => Err(Disagreement::Gone),
        }
    }

    fn proposal(&self) -> String {
        match self.given {
            Some(key) => format!("{FORMAT} given {}", key.fingerprint()),
            None => format!("{FORMAT} random {}", self.key.lock().0.to_hex()),
        }
    }

    fn take(&self, agreed: &str) -> Result<(), Disagreement> {
        let mut words = agreed.split(' ');
        let (format, kind, key) = (words.next(), words.next(), words.next());
        let format: u32 = format
            .and_then(|format| format.parse().ok())
            .ok_or(Disagreement::Unreadable)?;
        if format != FORMAT {
            return Err(Disagreement::Format(format));
        }
        match (self.given, kind, key) {
            (Some(given), Some("given"), Some(key)) if key == given.fingerprint() => Ok(()),
            (Some(_), Some("given"), Some(_)) => Err(Disagreement::OtherKey),
            (Some(_), Some("random"), Some(_)) => Err(Disagreement::KeyNotWanted),
            (None, Some("given"), Some(_)) => Err(Disagreement::KeyMissing),
            (None, Some("random"), Some(key)) => {
                self.adopt(HashKey::from_hex(key).ok_or(Disagreement::Unreadable)?);
                Ok(())
            }
            _ => Err(Disagreement::Unreadable),
        }
    }

    fn adopt(&self, agreed: HashKey) {
        let mut key = self.key.lock();
        if key.0 != agreed {
            if key.1 {
                tracing::warn!("hash key in redis changed, existing counters are orphaned");
            }
            self.hasher.store(KeyHasher::new(agreed).into());
        }
        *key = (agreed, true);
    }
}

/// Why counters cannot be shared.
#[derive(Clone, Debug)]
pub(super) enum Disagreement {
    /// Redis did not say.
    Redis(RedisError),
    /// The counters there have another format.
    Format(u32),
    /// The others were given another key.
    OtherKey,
    /// The others were given no key.
    KeyNotWanted,
    /// The others were given a key.
    KeyMissing,
    /// What stands there makes no sense.
    Unreadable,
    /// Nothing stands there any more.
    Gone,
}

impl From<RedisError> for Disagreement {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(error) => error.fmt(f),
            Self::Format(format) => write!(
                f,
                "the counters there have format {format}, and this weir has {FORMAT}; serve with another --redis-prefix \
                 until all have the same version"
            ),
            Self::OtherKey => f.write_str(
                "the weirs there were given another --hash-key-file; give all the same, or another --redis-prefix",
            ),
            Self::KeyNotWanted => f.write_str(
                "the weirs there were given no --hash-key-file; give it to all or to none, or another --redis-prefix",
            ),
            Self::KeyMissing => f.write_str(
                "the weirs there were given a --hash-key-file; give this one the same, or another --redis-prefix",
            ),
            Self::Gone => f.write_str("Redis has forgotten what weirs have in common"),
            Self::Unreadable => f.write_str(
                "something else stands there where weirs say what they have in common; use another --redis-prefix",
            ),
        }
    }
}

impl std::error::Error for Disagreement {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Redis(error) => Some(error),
            _ => None,
        }
    }
}
