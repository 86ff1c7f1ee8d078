//! Real parts: the `weir` binary, Envoy with the bootstraps of `examples/envoy`, grpcurl, and Chromium.
//!
//! Envoy and grpcurl are fetched once, into `target/parts`. Where that is not possible the tests say SKIPPED and pass; with
//! `CI=true` they fail.

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
