//! weir decides whether requests are within their rate limits.
//!
//! Envoy's rate-limit filter describes each request of a client by descriptors. A *policy*, compiled
//! from YAML, is a tree that each descriptor is matched against; the node that matches the last entry
//! may have a *rule* with limits. A *plan* lists the counters that a request hits, the *store* counts
//! the hits, and the *decision* has the status of each descriptor and the response.
//!
//! Where to start:
//! - to embed the decision: [`engine::Engine`], [`policy::load_text`], [`store::Store`]
//! - to call a server: [`client`]
//! - to test policies: [`scenario`] and [`replay`]
//! - to read the code: [`request`] and [`clock`], then [`limit`], [`policy`], [`store`], [`engine`];
//!   `docs/architecture.md` lists which module may import which
//!
//! ```
//! use std::path::Path;
//! use weir::clock::Clock;
//! use weir::engine::{Code, Engine};
//! use weir::request::{Descriptor, Request};
//! use weir::store::{MemoryConfig, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let yaml = "
//! domain: shop
//! descriptors:
//!   - {key: api_key, rate_limit: {unit: day, requests_per_unit: 1, algorithm: sliding_window}}";
//! let policy = weir::policy::load_text(Path::new("shop.yaml"), yaml).policy.ok_or("see diagnostics")?;
//! let engine = Engine::new(policy, Store::memory(MemoryConfig::default())?, Clock::System);
//!
//! let descriptor = Descriptor::new([("api_key", "k")]);
//! let request = Request { domain: "shop".into(), descriptors: vec![descriptor] };
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! assert_eq!(runtime.block_on(engine.decide(&request)).code, Code::Ok);
//! assert_eq!(runtime.block_on(engine.decide(&request)).code, Code::OverLimit);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "some is for the store in Redis alone")
)]

mod backoff;

mod error_text;

mod regular_file;

mod threads;

mod host_lookup;

pub mod pem;

pub mod request;

pub mod clock;

pub mod document;

pub mod limit;

pub mod policy;

pub mod store;

pub mod state;

pub mod engine;

pub mod scenario;

pub mod proto;

pub mod xds;

pub mod api;

pub mod server;

pub mod client;

pub mod replay;

pub mod telemetry;

pub mod top_k;

pub mod settings;

pub mod cli;
