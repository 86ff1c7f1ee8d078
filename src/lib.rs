//! weir: a rate-limit decision server for Envoy and Istio.

pub mod cli;
pub mod clock;
pub mod engine;
pub mod limit;
pub mod policy;
pub mod proto;
pub mod request;
pub mod server;
pub mod settings;
pub mod store;
pub mod telemetry;
