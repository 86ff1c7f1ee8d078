//! Policies from a configuration server, over xDS: aggregated discovery, state of the world.
//!
//! `resource` turns what the server sends into policy files in memory, so that it is compiled, checked and shown exactly
//! as files are. `session` decides what to answer on a stream (pure), `stream` is one to a server, `client`
//! keeps one open.
//!
//! The protocol is that of Envoy Gateway and of envoyproxy/ratelimit's `CONFIG_TYPE=GRPC_XDS_SOTW`.

mod client;
mod config;
mod fetch;
mod loader;
mod resource;
mod session;
mod stream;

pub use client::{XdsClient, XdsStatus};
pub use config::XdsConfig;
pub use fetch::{FetchError, fetch};
pub use loader::Received;
pub use resource::{PolicyText, ResourceError};
pub use stream::StreamError;
