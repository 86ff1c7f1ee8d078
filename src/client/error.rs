//! Why a server cannot be asked.

use super::{ServerAddr, TlsOptionsError};

/// How to reach a server whose connections break.
fn advice(server: &ServerAddr) -> &'static str {
    if server.encrypted().is_some() {
        "it must be the address of `weir serve --grpc`, and a port with a client CA needs --cert and --key"
    } else {
        "it must be the address of `weir serve --grpc`, not of --http, and begin with https:// if that port has TLS"
    }
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server cannot be reached.
    #[error("cannot connect to {server}: {reason}; is the server running?")]
    Connect {
        /// The server.
        server: ServerAddr,
        /// The root cause.
        reason: String,
    },
    /// The connection broke during a call, or the server speaks another protocol.
    #[error("the connection to {server} failed: {reason}; {}", advice(server))]
    Broken {
        /// The server.
        server: ServerAddr,
        /// The root cause.
        reason: String,
    },
    /// The health service of the server reports another status than SERVING.
    #[error("{server} reports {status}")]
    NotServing {
        /// The server.
        server: ServerAddr,
        /// The name of the status.
        status: &'static str,
    },
    /// The options for TLS cannot be used.
    #[error(transparent)]
    Tls(TlsOptionsError),
    /// The server rejected the request, or did not answer.
    #[error("call to {server} failed with {code:?}: {message}")]
    Call {
        /// The server.
        server: ServerAddr,
        /// The gRPC status.
        code: tonic::Code,
        /// The server's explanation.
        message: String,
    },
}
