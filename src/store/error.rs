//! Why the store did not do what it was asked to.

use thiserror::Error;

/// What a user of Redis needs; `del` is for resets, `cluster|slots` for a cluster.
const NEEDED_COMMANDS: &str = "get, set, pexpire, del, time, eval and evalsha (and cluster|slots)";

/// Why counters cannot be reached.
///
/// No message contains a secret or a value of a client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No answer came within the deadline.
    #[error("Redis does not answer in time")]
    Timeout,
    /// The server is a replica: the master has moved.
    #[error("Redis is a read-only replica; --store must name the master, or the sentinels")]
    ReadOnly,
    /// The login is missing, wrong, or may not do what weir needs.
    #[error(
        "Redis does not permit it: {reason}; check user and password, and that the user may run \
         {NEEDED_COMMANDS} on all keys of --redis-prefix"
    )]
    NotPermitted {
        /// The message of Redis.
        reason: String,
    },
    /// The server, or a proxy before it, lacks a command.
    #[error(
        "the server does not have all that weir needs: {reason}; it must run Lua scripts, as Redis \
         and Valkey 6 do, with {NEEDED_COMMANDS}"
    )]
    Unsupported {
        /// The message of the server.
        reason: String,
    },
    /// Other instances use the same prefix in a way that this one cannot share.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    /// The answer has an unexpected type.
    #[error("unexpected reply from Redis")]
    UnexpectedReply,
    /// There is no connection, or Redis answered with an error.
    #[error("{reason}")]
    Unavailable {
        /// The message of Redis, the client library or the system.
        reason: String,
    },
}

impl StoreError {
    /// Whether the server answers, but will not count however often it is asked.
    pub(super) fn is_rejection(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::NotPermitted { .. } | Self::Unsupported { .. }
        )
    }
}

/// Why this instance cannot share counters with those that use the same prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Incompatible {
    /// The counters have another format.
    #[error(
        "counters in Redis have format {found}, this version needs {expected}; use another \
         --redis-prefix until all instances have the same version"
    )]
    Format {
        /// The format in Redis.
        found: u32,
        /// The format of this version.
        expected: u32,
    },
    /// The others have another hash key.
    #[error(
        "other instances use another --hash-key-file; use the same file, or another --redis-prefix"
    )]
    OtherHashKey,
    /// The others have no hash key of their own.
    #[error(
        "other instances run without --hash-key-file; give it to all or none, or use another \
         --redis-prefix"
    )]
    HashKeyNotExpected,
    /// The others have a hash key.
    #[error(
        "other instances use a --hash-key-file; give this one the same, or another --redis-prefix"
    )]
    HashKeyMissing,
    /// The metadata is not weir's.
    #[error("the metadata in Redis is not weir's; use another --redis-prefix")]
    Unreadable,
    /// The metadata has disappeared.
    #[error("the metadata in Redis has disappeared")]
    Gone,
}

/// The system gave no random bytes.
#[derive(Debug, Error)]
#[error("the system has no random bytes for the key of a hash")]
pub struct RngError(#[source] pub(super) getrandom::Error);
