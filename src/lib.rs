//! weir: a rate-limit decision server for Envoy and Istio.

pub mod clock;
pub mod engine;
pub mod limit;
pub mod policy;
pub mod request;
pub mod store;
