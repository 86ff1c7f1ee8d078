//! weir decides whether a request may go on.
//!
//! Envoy's rate-limit filter describes each request of a client by descriptors. A *policy*, compiled from YAML, is a tree
//! that each descriptor walks; where it ends there may be a *rule* with limits. The *plan* of a request says which
//! counters it meets, the *store* takes all hits in their order, and the *decision* says how each descriptor stands,
//! whether the client may go on, and what it is told.
//!
//! In reading order: [`request`] and [`clock`] are the language of the problem, [`limit`] the algorithms, [`policy`] the
//! files and the tree, [`store`] the counters, [`engine`] the decision; [`scenario`] and [`replay`] try policies out.
//! [`server`], [`client`], [`settings`], [`telemetry`] and [`cli`] are the edges; `docs/architecture.md` says who may know
//! whom.
//!
//! ```
//! use std::path::Path;
//! use weir::clock::Clock;
//! use weir::engine::{Code, Engine};
//! use weir::request::{Descriptor, Entry, Request};
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
//! let entry = Entry { key: "api_key".into(), value: "k".into() };
//! let descriptor = Descriptor { entries: vec![entry], ..Descriptor::default() };
//! let request = Request { domain: "shop".into(), descriptors: vec![descriptor] };
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! assert_eq!(runtime.block_on(engine.decide(&request)).code, Code::Ok);
//! assert_eq!(runtime.block_on(engine.decide(&request)).code, Code::OverLimit);
//! # Ok(())
//! # }
//! ```

pub mod request;

pub mod clock;

pub mod document;

pub mod limit;

pub mod policy;

pub mod store;

pub mod engine;

pub mod scenario;

pub mod proto;

pub mod server;

pub mod client;

pub mod replay;

pub mod telemetry;

pub mod top_k;

pub mod settings;

pub mod cli;
