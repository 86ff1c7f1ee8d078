//! Real parts: the `weir` binary, Envoy with the bootstraps of `examples/envoy`, grpcurl and other clients of gRPC and HTTP/2,
//! and Chromium.
//!
//! The crate `weir-harness` finds them, and installs those that are not packages of the system once into `target/parts`. Where a
//! program is missing, its tests report SKIPPED and pass; with `CI=true` they fail.

mod browser;
mod certificates;
mod control_plane;
mod echo;
mod envoy;
mod grpcurl;
mod http;
mod load;
mod service;
mod upstream;
mod weir;
mod window;
mod wire;

mod book;
mod clients;
mod doctor;
mod envoy_gateway;
mod getting_started;
mod h2spec;
mod image;
mod imports;
mod init;
mod istio;
mod kubernetes;
mod llm_tokens;
mod openapi;
mod page;
mod partner_v1;
mod peeker;
mod platform;
mod protocol;
mod ratelimit;
mod readme;
mod recipes;
mod rejections;
mod restarts;
mod saas;
mod skakio;
mod tls;
mod tls_clients;
mod xds;
