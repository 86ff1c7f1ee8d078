//! Real parts: the `weir` binary, Envoy with the bootstraps of `examples/envoy`, grpcurl, and Chromium.
//!
//! The crate `weir-harness` finds them, and installs Envoy and grpcurl once into `target/parts`. Where a program is missing,
//! its tests report SKIPPED and pass; with `CI=true` they fail.

mod browser;
mod envoy;
mod grpcurl;
mod http;
mod upstream;
mod weir;
mod window;

mod imports;
mod llm_tokens;
mod page;
mod partner_v1;
mod peeker;
mod platform;
mod protocol;
mod readme;
mod skakio;
