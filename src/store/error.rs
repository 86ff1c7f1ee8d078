//! Why a store cannot do what it was asked.

/// Why counters in Redis cannot be used. No variant contains a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There was no answer in time.
    #[error("Redis does not answer in time")]
    Timeout,
    /// There is no connection, or Redis answered with an error.
    #[error("{reason}")]
    Unavailable {
        /// What Redis or the system reported.
        reason: String,
    },
    /// Redis holds counters of another format, or another hash key.
    #[error("{reason}")]
    Incompatible {
        /// What differs.
        reason: String,
    },
    /// The server is a replica that does not accept writes.
    #[error("Redis is a read-only replica")]
    ReadOnly,
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes for the key of a hash")]
pub struct RngError(#[source] pub(super) getrandom::Error);
