//! Why an address cannot be bound.

use std::io::{self, ErrorKind};

use thiserror::Error;

use super::ListenConfig;

/// Why an address cannot be bound. `flag` is the flag that chooses it.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another socket is bound to it.
    #[error(
        "cannot listen on {address}: it is in use; stop what uses it, or choose another address with {flag}"
    )]
    InUse {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// It is an address of another machine.
    #[error(
        "cannot listen on {address}: this machine has no such address; choose another with {flag}"
    )]
    NotLocal {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// It is an address of IPv6, which the system does not have.
    #[error(
        "cannot listen on {address}: this machine has no IPv6; {flag} with :PORT, without a host, listens on all addresses that it has"
    )]
    NoIpv6 {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// The system does not permit it, such as a port below 1024.
    #[error("cannot listen on {address}: not permitted; choose another address with {flag}")]
    NotPermitted {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
    },
    /// Any other error.
    #[error("cannot listen on {address}, the address of {flag}")]
    Other {
        /// The address.
        address: ListenConfig,
        /// The flag.
        flag: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl BindError {
    pub(in crate::server) fn new(
        address: ListenConfig,
        source: io::Error,
        flag: &'static str,
    ) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { address, flag },
            ErrorKind::AddrNotAvailable => Self::NotLocal { address, flag },
            ErrorKind::Unsupported => Self::NoIpv6 { address, flag },
            ErrorKind::PermissionDenied => Self::NotPermitted { address, flag },
            _ => Self::Other {
                address,
                flag,
                source,
            },
        }
    }
}
